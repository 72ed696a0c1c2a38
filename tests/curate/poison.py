"""What a hostile page can do to the process that reads it; run in a child by the tests of `isolate`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HOARD: list[bytes] = []


def act(header: Mapping[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    """Do what the header's `do` says."""
    match header["do"]:
        case "echo":
            return {"size": len(payload), "said": header.get("said")}, payload
        case "raise":
            raise ValueError("a page of\nno use")
        case "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(1)
        case "hang":
            time.sleep(3600)
        case "late":
            time.sleep(0.3)
            return {}, b"too late"
        case "once":
            mark = Path(header["mark"])
            if not mark.exists():
                mark.touch()
                return act({"do": header["what"]}, payload)
        case "hoard":
            _HOARD.append(bytes(1 << 30))
        case "allocate":
            return {}, bytes(8 << 30)
        case "print":
            os.write(1, b"noise on standard output")
            os.write(2, b"noise on standard error")
        case "descriptors":
            return {"open": sorted(path.name for path in Path("/proc/self/fd").iterdir())}, b""
        case "pid":
            return {"pid": os.getpid()}, b""
    return {}, b""
