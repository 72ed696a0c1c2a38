"""A real Spark cluster on this machine: one master and one worker process on each of two loopback addresses.

    python tests/cluster.py -- sh -c 'spark-submit --master $SPARK_MASTER curate/job.py --lake lake'

runs a command with `SPARK_MASTER` set to the cluster's address and ends with the command's exit code; without one it
prints the address and keeps the cluster until it is interrupted. Ports are chosen
by the system; nothing listens beyond loopback. Every process is stopped by its own id, also after an error.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyspark

from millpond.java import ADVICE, find_java

HOME = Path(pyspark.__file__).parent
MASTER_HOST = "127.0.0.1"
#: Worker hosts. Spark places a speculative copy on another host than the attempt it copies, so there are two.
HOSTS = ("127.0.0.2", "127.0.0.3")
START_SECONDS = 60.0
STOP_SECONDS = 15.0
#: Java for jobs of seconds: compiling less and collecting in one thread halves their time.
SHORT_JOBS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
#: Where there is `setpriv`, a daemon also ends with a parent that is killed.
_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()
_ANY_PORT = ("--port", "0", "--webui-port", "0")


def environment(host: str = MASTER_HOST) -> dict[str, str]:
    """Environment of a Spark process on a host: this Java, and this Python for its tasks.

    Raises:
        RuntimeError: there is no Java.
    """
    if (java := find_java()) is None:
        raise RuntimeError(ADVICE)
    python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    spark = {"JAVA_HOME": str(java[0]), "SPARK_HOME": str(HOME), "SPARK_LOCAL_IP": host}
    return {**os.environ, **spark, **python, "JAVA_TOOL_OPTIONS": SHORT_JOBS}


@contextmanager
def cluster(logs: Path, environments: Mapping[str, Mapping[str, str]] | None = None) -> Iterator[str]:
    """Start a master and the workers, one core each, and stop them at the end of the block; yields the `spark://` URL.

    Args:
        logs: folder for logs and the workers' files.
        environments: more environment variables for the worker on a host, and so for its tasks.

    Raises:
        RuntimeError: there is no Java, or a process did not come up; the message ends with its log.
    """
    logs.mkdir(parents=True, exist_ok=True)
    daemons = {"SPARK_DAEMON_MEMORY": "512m", "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false"}
    with ExitStack() as running:

        def start(name: str, host: str, main: str, *options: str) -> _Daemon:
            own = {**environment(host), **daemons, **(environments or {}).get(host, {})}
            daemon = _Daemon.start(logs / f"{name}.log", own, (main, "--host", host, *options))
            running.callback(daemon.stop)
            return daemon

        master = start("master", MASTER_HOST, "org.apache.spark.deploy.master.Master", *_ANY_PORT)
        url = master.says(r"Starting Spark master at (spark://\S+)\s")
        room = ("--cores", "1", "--memory", "2g")
        workers = [
            start(
                name,
                host,
                "org.apache.spark.deploy.worker.Worker",
                *_ANY_PORT,
                *room,
                "--work-dir",
                f"{logs / name}",
                url,
            )
            for name, host in zip(("worker-1", "worker-2"), HOSTS, strict=True)
        ]
        for worker in workers:
            worker.says(r"Successfully registered with master (\S+)\s")
        yield url


@dataclass(frozen=True)
class _Daemon:
    """A master or a worker, in a session of its own, with its output in a file."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, log: Path, environment: Mapping[str, str], arguments: tuple[str, ...]) -> Self:
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*_WITH_PARENT, HOME / "bin" / "spark-class", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(process, log)

    def says(self, pattern: str) -> str:
        """Wait for a line of its log and return what the pattern's group matched."""
        deadline = time.monotonic() + START_SECONDS
        while not (found := re.search(pattern, self.log.read_text(errors="replace"))):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.log.stem} did not come up:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)
        return found[1]

    def stop(self) -> None:
        """Ask it to end, which ends its executors; then kill what is left of its own process group."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def main() -> int:
    """Run a command on a cluster, or keep one until interrupted."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    command = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    with tempfile.TemporaryDirectory(prefix="millpond-cluster-") as logs, cluster(Path(logs)) as url:
        if command:
            return subprocess.run(command, env={**environment(), "SPARK_MASTER": url}, check=False).returncode
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
