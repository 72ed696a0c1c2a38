"""Processes of a session, which is what a command started with `start_new_session` leaves behind."""

from __future__ import annotations

import os

import psutil


def left_behind(session: int) -> list[int]:
    """Processes that still run in a session."""
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getsid(process.pid) == session and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except ProcessLookupError:
            continue
    return found
