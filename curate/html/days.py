"""Days in texts and addresses: ISO 8601, with dots, or with an English month; an order is never guessed."""

from __future__ import annotations

import re
from datetime import date

_YMD = re.compile(r"(?<!\d)(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2}))(?!\d)")
_COMPACT = re.compile(r"^(\d{4})(\d\d)(\d\d)(?:T|$)")
_DMY = re.compile(r"(?<!\d)(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})(?!\d)")
_UNSURE = re.compile(r"(?<![\d/-])(\d{1,2})([/-])(\d{1,2})\2(\d{4})(?![\d/-])")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"({'|'.join(_MONTHS)})[a-z]{{0,6}}\.?"
_MDY_WORDS = re.compile(rf"\b{_MONTH}\s(\d{{1,2}})(?:st|nd|rd|th)?,?\s(\d{{4}})\b", re.IGNORECASE)
_DMY_WORDS = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s{_MONTH},?\s(\d{{4}})\b", re.IGNORECASE)
_IN_URL = re.compile(r"/(\d{4})/(\d{1,2})/(\d{1,2})(?=/|$)|[/-](\d{4})-(\d\d)-(\d\d)(?!\d)")
_FIRST_YEAR = 1990
_URL_CHARS = 2000


def day_in_url(url: str | None, latest: date | None) -> date | None:
    if match := _IN_URL.search((url or "")[:_URL_CHARS]):
        year, month, day = (int(part) for part in match.groups() if part)
        return _valid(year, month, day, latest)
    return None


def day_in(text: str, latest: date | None) -> date | None:
    """The first date in a text, as ISO 8601, with dots or with an English month; never by guessing an order."""
    text = " ".join(text[:200].split())
    if match := _YMD.search(text) or _COMPACT.search(text):
        year, month, day = (int(part) for part in match.groups() if part)
    elif match := _DMY.search(text):
        day, month, year = (int(part) for part in match.groups())
    elif match := _MDY_WORDS.search(text):
        month, day, year = _MONTHS.index(match[1].casefold()) + 1, int(match[2]), int(match[3])
    elif match := _DMY_WORDS.search(text):
        day, month, year = int(match[1]), _MONTHS.index(match[2].casefold()) + 1, int(match[3])
    elif match := _UNSURE.search(text):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        if first <= 12 and second <= 12 and first != second:
            return None
        month, day = min(first, second), max(first, second)
    else:
        return None
    return _valid(year, month, day, latest)


def _valid(year: int, month: int, day: int, latest: date | None) -> date | None:
    try:
        found = date(year, month, day)
    except ValueError:  # no such day
        return None
    return found if year >= _FIRST_YEAR and (latest is None or found <= latest) else None
