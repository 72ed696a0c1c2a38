"""Importing this makes the helpers in `tests` importable by their own names, as the tests import them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
