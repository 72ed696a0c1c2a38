"""Bank accounts and payment cards: IBANs by country length and mod 97, cards by issuer range and Luhn.

Sources: ISO 13616 and SWIFT's IBAN registry (lengths), ISO/IEC 7812 and the issuers' published ranges (cards).
A card of an issuer that has no range or length of its own (Maestro's 12 to 19 digits from 50 and 6, Visa's 13 and 19)
needs a word before it that says so: a tenth of all article numbers pass Luhn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from millpond.curate.privacy.check_digits import luhn, mod_97
from millpond.curate.privacy.span import Span

_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
    "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 "
    "YE30"
)
IBAN_LENGTHS = {item[:2]: int(item[2:]) for item in _LENGTHS.split()}
_IBAN_START = re.compile(r"[0-9]{2}(?<=[A-Za-z]{2}[0-9]{2})(?<![0-9A-Za-z_][A-Za-z]{2}[0-9]{2})")
#: How far before the dense digits an IBAN begins: a bank's four letters may stand between.
_IBAN_BEFORE = 12
_IBAN_BODY = re.compile(r"(?:[ -]?[0-9A-Za-z]){11,29}")

#: Four groups of four, American Express's 4-6-5 and Diners' 4-6-4, or no groups at all.
CARD = re.compile(
    r"(?<![0-9.\-/()])(?:[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5}"
    r"|[0-9]{12,19})(?![0-9]|[.\-][0-9])"
)
_CARD_WORD = re.compile(
    r"\b(?:(?:credit|debit|bank)?cards?|cc|visa|master ?card|maestro|amex|american express|carte|karte|kreditkarte"
    r"|tarjeta|cart[ãa]o|carta|kaart|karta|kort)\b|カード|卡"
)


def ibans(work: str, places: Iterable[tuple[int, int]]) -> Iterator[Span]:
    """IBANs, in order, in any case and in groups or not; `places` is where digits are dense."""
    last = 0
    starts = (match for lo, hi in places for match in _IBAN_START.finditer(work, max(0, lo - _IBAN_BEFORE), hi))
    for match in starts:
        start = match.start() - 2
        length = IBAN_LENGTHS.get(work[start : start + 2].upper())
        if length is None or start < last:
            continue
        body = _IBAN_BODY.match(work, match.end())
        if body is None:
            continue
        end = match.end()
        wanted = length - 4
        for sign in body[0]:
            if not wanted:
                break
            end += 1
            wanted -= sign not in " -"
        account = work[start:end].replace(" ", "").replace("-", "").upper()
        if wanted or work[end : end + 1].isalnum() or not mod_97(account):
            continue
        last = end
        yield Span(start, end, "iban", "iban")


def is_card(digits: str, context: str) -> bool:
    """Whether the digits are a card number; `context` is the text before them, in lower case."""
    begins = digits[0] in "23456" or digits[:4] == "1800"
    if not begins or len(set(digits)) == 1 or not luhn(digits):
        return False
    return _usual(digits) or _CARD_WORD.search(context) is not None


def _usual(digits: str) -> bool:
    """Whether an issuer gives out such numbers, in the length it usually does."""
    size, two, three, four = len(digits), int(digits[:2]), int(digits[:3]), int(digits[:4])
    if size == 16:
        return (
            digits[0] == "4"  # Visa
            or 51 <= two <= 55  # Mastercard
            or 2221 <= four <= 2720
            or 2200 <= four <= 2204  # Mir
            or 3528 <= four <= 3589  # JCB
            or four == 6011  # Discover
            or 644 <= three <= 659
            or two == 62  # UnionPay
        )
    if size == 15:
        return two in (34, 37) or four in (2131, 1800)  # American Express, JCB
    return size == 14 and (300 <= three <= 305 or three == 309 or two in (36, 38, 39))  # Diners Club
