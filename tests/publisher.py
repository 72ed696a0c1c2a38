"""A publisher in a process of its own, to be killed, paused and raced: `python publisher.py LAKE NAME COUNT [MODE]`.

Publishes COUNT releases; each appends one reject row named after the publisher (or, with MODE replace, replaces all)
to `web.rejects` and one to `web.frontier`, so that a release spans tables. The audit is Millpond's ledger check alone.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from millpond import faults
from millpond.config import StageConfig
from millpond.lake import Lake
from millpond.publish import Batch, Mode, Run


class Settings(StageConfig):
    """What makes one release differ from another."""

    name: str
    number: int


def audit(batch: Batch) -> list[dict[str, object]]:
    """One row that says it looked."""
    return [{"table": "web.rejects", "expectation": "looked", "success": bool(batch.whole["web.rejects"])}]


def publish_one(lake: Lake, name: str, number: int, mode: Mode) -> bool:
    """Publish one release; False where another run of it came first."""
    run = Run(lake, "ingest", Settings(name=name, number=number), {"name": name, "number": number})
    if run.released(standing=False):
        return False
    faults.point("before-data")
    row = {"file": f"{name}-{number}", "offset": number, "reason": "damaged", "detail": name, "records": 1}
    seen = datetime.fromtimestamp(number, UTC)
    run.stage_rows("web.rejects", [row], mode)
    url = f"http://{name}/{number}"
    event = {"crawl": name, "url": url, "url_key": url, "state": "fetched", "seen_at": seen, "round": 1}
    run.stage_rows("web.frontier", [event], mode)
    run.ledger.add("records", "in", 1)
    run.ledger.add("records", "rejected", 1, "damaged")
    return run.publish(audit).run_id == run.run_id


def main() -> None:
    """Publish and print how many releases were new."""
    uri, name, count = sys.argv[1:4]
    mode = Mode(sys.argv[4]) if len(sys.argv) > 4 else Mode.APPEND
    lake = Lake.open(uri)
    sys.stdout.write(f"{sum(publish_one(lake, name, number, mode) for number in range(int(count)))}\n")


if __name__ == "__main__":
    main()
