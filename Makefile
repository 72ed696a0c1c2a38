# Everything a person or CI runs. A bare `make` lists the targets. Paths are relative, so the folder may have spaces.
PYTHON ?= python3
PY := .venv/bin/python
TEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help env java demo test evidence bench lint types contracts package dist-spark lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

java: ## find Java 17 or newer, or get one
	@$(PYTHON) src/millpond/java.py .java > /dev/null

env: java .venv/.ready ## make .venv from the lock

.venv/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Millpond needs Python 3.11 or newer; run make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear .venv
	$(PY) -m pip install -q --disable-pip-version-check torch==2.13.0
	$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(PY) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch .venv/.ready

demo: env ## the whole main job on this Python's own documentation, into ./demo
	$(PY) -m millpond demo demo

test: env ## all tests a change needs
	$(PY) -m pytest -n 2 --dist loadfile $(TEST_ARGS)

evidence: env ## kills, races, lost rows and hostile pages at full size; writes docs/evidence.md
	$(PY) -m benchmarks.evidence

bench: env ## ratios against peers; writes docs/benchmarks.md
	$(PY) -m benchmarks.run

lint: env ## ruff
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: env ## mypy --strict
	$(PY) -m mypy

contracts: env ## which room may import which
	.venv/bin/lint-imports

package: env ## sdist, wheel, install in a clean environment, import every stage
	$(PY) tests/package.py

dist-spark: env ## dist/millpond.zip for spark-submit --py-files
	rm -rf build/spark && mkdir -p build/spark dist
	cp -RL src/millpond build/spark/millpond
	cd build/spark && ../../$(PY) -m zipfile -c ../../dist/millpond.zip millpond

lock: env ## resolve requirements.lock anew
	$(PY) -m pip install -q uv
	echo "torch==2.13.0 ; sys_platform == 'never'" > .venv/overrides.txt
	$(PY) -m uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --override .venv/overrides.txt \
	  --generate-hashes --no-annotate --no-emit-package torch --no-emit-package sympy --no-emit-package mpmath \
	  --no-emit-package networkx --custom-compile-command "make lock" -q -o requirements.lock

clean: ## remove what make made
	rm -rf .venv .java build dist demo
