"""Reservations by the TDM Reservation Protocol's file at a site, `/.well-known/tdmrep.json`.

https://www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/: an array of rules, each a pattern of paths as in
robots.txt and whether what it fits is reserved; the first rule that fits counts. A site that does not answer with such
a file reserves nothing by it. A page may say otherwise in a header, which nobody knows who has not asked for it: what
the file reserves is left alone.
"""

from __future__ import annotations

import json
from typing import Any

from protego import Protego

PATH = "/.well-known/tdmrep.json"
_RESERVED = {0: False, "0": False, 1: True, "1": True}


class TdmFile:
    """The rules of one site; `text` is empty where there is no file."""

    def __init__(self, text: str) -> None:
        try:
            rules = json.loads(text) if text else []
        except (ValueError, RecursionError):  # a page that says in words that there is no file, more often than not
            rules = []
        given = [rule for rule in rules if _is_rule(rule)] if isinstance(rules, list) else []
        self._rules = [
            (Protego.parse(f"User-agent: *\nDisallow: {rule['location']}"), _RESERVED[rule["tdm-reservation"]])
            for rule in given
        ]

    def of(self, url: str) -> list[str]:
        """The reservation that holds for an address."""
        fitting = (reserved for rule, reserved in self._rules if not rule.can_fetch(url, "*"))
        return ["tdmrep.json tdm-reservation=1"] if next(fitting, False) else []


def _is_rule(rule: Any) -> bool:
    if not isinstance(rule, dict):
        return False
    location, value = rule.get("location"), rule.get("tdm-reservation")
    known = isinstance(value, int | str) and value in _RESERVED
    return known and isinstance(location, str) and location.isprintable() and bool(location)
