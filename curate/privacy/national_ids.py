"""National identity, tax and social security numbers, with the rules by which each country writes them.

A number is taken without further ado where its layout or its check digits leave less than about one chance in a
hundred for another number (`alone`); a layout that others share counts only behind a word that names it (`named`).
Each entry says which. Sources are the issuing authorities' published rules.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from millpond.curate.privacy.check_digits import luhn, mod_11_2, mod_11_10, verhoeff, weighted
from millpond.curate.privacy.span import FILLERS, Span, before

Check = Callable[[str], bool]


@dataclass(frozen=True)
class NationalId:
    """One country's number; `check` sees its letters and digits alone, in upper case."""

    name: str
    check: Check
    alone: re.Pattern[str] | None
    named: re.Pattern[str] | None
    words: re.Pattern[str] | None

    def fits(self, text: str, signs: str, context: str) -> bool:
        """Whether the text is such a number; `signs` are its letters and digits, `context` what stands before."""
        if self.alone is not None and self.alone.fullmatch(text):
            return self.check(signs)
        if self.named is None or self.words is None or not self.named.fullmatch(text):
            return False
        return self.words.search(context) is not None and self.check(signs)


def _id(name: str, check: Check, alone: str = "", named: str = "", words: str = "") -> NationalId:
    return NationalId(
        name,
        check,
        re.compile(alone, re.ASCII) if alone else None,
        re.compile(named, re.ASCII) if named else None,
        re.compile(rf"(?<![a-z])(?:{words})") if words else None,
    )


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _short_date(year: str, month: str, day: str) -> bool:
    """A date whose century is not told."""
    return any(_is_date(century + int(year), int(month), int(day)) for century in (1900, 2000))


def _us_ssn(d: str) -> bool:
    return d[:3] not in ("000", "666") and d[0] != "9" and d[3:5] != "00" and d[5:] != "0000"


def _us_itin(d: str) -> bool:
    group = int(d[3:5])
    return d[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99)


def _uk_nino(d: str) -> bool:
    return d[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def _uk_nhs(d: str) -> bool:
    return (11 - weighted(d, range(10, 1, -1)) % 11) % 11 == int(d[9])


def _ca_sin(d: str) -> bool:
    return d[0] not in "08" and luhn(d)


def _au_tfn(d: str) -> bool:
    return weighted(d, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def _de_steuer_id(d: str) -> bool:
    counts = Counter(Counter(d[:10]).values())
    # One digit stands twice or three times among the first ten, no other more than once.
    return d[0] != "0" and counts[2] + counts[3] == 1 and max(counts) <= 3 and mod_11_10(d)


def _fr_nir(d: str) -> bool:
    body = int(d[:13].replace("2A", "19").replace("2B", "18"))
    month = int(d[3:5])
    return (1 <= month <= 12 or 20 <= month <= 42 or month >= 50) and 97 - body % 97 == int(d[13:])


def _es_letter(d: str) -> bool:
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(d[:-1]) % 23] == d[-1]


def _es_nie(d: str) -> bool:
    return _es_letter(str("XYZ".index(d[0])) + d[1:])


#: What the letters A to Z count for in odd places; a digit counts for as much as the letter of its number.
_IT_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def _it_codice_fiscale(d: str) -> bool:
    values = [int(sign) if sign.isdigit() else ord(sign) - ord("A") for sign in d[:15]]
    return chr(ord("A") + (sum(values[1::2]) + sum(_IT_ODD[value] for value in values[::2])) % 26) == d[15]


def _nl_bsn(d: str) -> bool:
    return weighted(d, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and int(d) > 0


def _be_rrn(d: str) -> bool:
    month, check = int(d[2:4]) % 20, int(d[9:])
    fits = any(97 - int(century + d[:9]) % 97 == check for century in ("", "2"))
    return fits and _short_date(d[:2], f"{month:02}", d[4:6])


def _se_personnummer(d: str) -> bool:
    short = d[-10:]
    return _short_date(short[:2], short[2:4], f"{int(short[4:6]) % 60:02}") and luhn(short)


def _fi_hetu(d: str) -> bool:
    digits = d[:6] + d[-4:-1]
    return _short_date(d[4:6], d[2:4], d[:2]) and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(digits) % 31] == d[-1]


def _dk_cpr(d: str) -> bool:
    return _short_date(d[4:6], d[2:4], d[:2])


def _no_fodselsnummer(d: str) -> bool:
    first = weighted(d, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    second = weighted(d, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11
    return first == second == 0 and _short_date(d[4:6], d[2:4], f"{int(d[:2]) % 40:02}")


def _pl_pesel(d: str) -> bool:
    fits = weighted(d, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0
    return fits and _short_date(d[:2], f"{int(d[2:4]) % 20:02}", d[4:6])


def _pt_nif(d: str) -> bool:
    return max(0, 11 - weighted(d, range(9, 1, -1)) % 11) % 11 % 10 == int(d[8])


def _tr_kimlik(d: str) -> bool:
    n = [int(digit) for digit in d]
    return n[0] > 0 and (7 * sum(n[0:9:2]) - sum(n[1:8:2])) % 10 == n[9] and sum(n[:10]) % 10 == n[10]


def _za_id(d: str) -> bool:
    return d[10] in "01" and _short_date(d[:2], d[2:4], d[4:6]) and luhn(d)


def _mod_11_pair(d: str, first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Brazil: two check digits, the second over the first too."""
    if len(set(d)) == 1:
        return False
    return all(
        (11 - rest if (rest := weighted(d, weights) % 11) > 1 else 0) == int(d[len(weights)])
        for weights in (first, second)
    )


def _br_cpf(d: str) -> bool:
    return _mod_11_pair(d, tuple(range(10, 1, -1)), tuple(range(11, 1, -1)))


def _br_cnpj(d: str) -> bool:
    weights = (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    return _mod_11_pair(d, weights, (6, *weights))


def _mx_curp(d: str) -> bool:
    values = {sign: value for value, sign in enumerate("0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ")}
    total = sum((18 - place) * values[sign] for place, sign in enumerate(d[:17]))
    return -total % 10 == int(d[17]) and _short_date(d[4:6], d[6:8], d[8:10])


def _cn_resident(d: str) -> bool:
    born = int(d[6:10])
    return 1900 <= born < 2100 and _is_date(born, int(d[10:12]), int(d[12:14])) and mod_11_2(d)


def _kr_date(d: str) -> bool:
    return d[6] != "0" and d[6] != "9" and _short_date(d[:2], d[2:4], d[4:6])


def _kr_rrn(d: str) -> bool:
    return _kr_date(d) and (11 - weighted(d, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10 == int(d[12])


def _jp_my_number(d: str) -> bool:
    rest = weighted(d, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest <= 1 else 11 - rest) == int(d[11])


def _sg_nric(d: str) -> bool:
    total = weighted(d[1:8], (2, 7, 6, 5, 4, 3, 2)) + (4 if d[0] in "TG" else 0)
    return ("JZIHGFEDCBA" if d[0] in "ST" else "XWUTRQPNMLK")[total % 11] == d[8]


def _always(_: str) -> bool:
    return True


#: Numbers of digits only, by how many they have. The word list of each is what its own country calls it.
_DIGITS: dict[int, tuple[NationalId, ...]] = {
    9: (
        # Layout and forbidden ranges, no check digit.
        _id("us_ssn", _us_ssn, r"\d{3}-\d\d-\d{4}", r"\d{3}[ .]?\d\d[ .]?\d{4}", r"ssns?\b|soc(?:ial)?\.? sec"),
        _id("us_itin", _us_itin, r"\d{3}-\d\d-\d{4}", r"\d{3} ?\d\d ?\d{4}", r"itin\b|tax(?:payer)? id"),
        # Check digit; nine digits with one are too common to stand alone.
        _id("ca_sin", _ca_sin, "", r"\d{3}([ -]?)\d{3}\1\d{3}", r"sin\b|social insurance|nas\b|assurance sociale"),
        _id("au_tfn", _au_tfn, "", r"\d{3}([ -]?)\d{3}\1\d{3}", r"tfn\b|tax file"),
        _id("nl_bsn", _nl_bsn, "", r"\d{9}|\d{4}\.\d\d\.\d{3}", r"bsn\b|burgerservice|sofi"),
        _id("pt_nif", _pt_nif, "", r"\d{3} ?\d{3} ?\d{3}", r"nif\b|contribuinte"),
    ),
    10: (
        _id("uk_nhs", _uk_nhs, "", r"\d{3}([ -]?)\d{3}\1\d{4}", r"nhs\b|national health"),
        _id("se_personnummer", _se_personnummer, "", r"\d{6}[-+]?\d{4}", r"person(?:nummer|nr)|personal identity"),
        _id("dk_cpr", _dk_cpr, "", r"\d{6}[- ]?\d{4}", r"cpr"),
    ),
    11: (
        # Two check digits and a layout or a date.
        _id("br_cpf", _br_cpf, r"\d{3}\.\d{3}\.\d{3}-\d\d", r"\d{11}|\d{9}-\d\d", r"cpf"),
        _id(
            "be_rrn",
            _be_rrn,
            r"\d{2}\.\d\d\.\d\d-\d{3}[.-]\d\d",
            r"\d{11}",
            r"rijksregister|registre national|insz|niss",
        ),
        _id("no_fodselsnummer", _no_fodselsnummer, r"\d{6} ?\d{5}"),
        # A check digit, and one digit alone repeated.
        _id("de_steuer_id", _de_steuer_id, r"\d{11}|\d\d \d{3} \d{3} \d{3}"),
        # Check digits that one in ten to one in a hundred of other numbers pass.
        _id("pl_pesel", _pl_pesel, "", r"\d{11}", r"pesel"),
        _id("tr_kimlik", _tr_kimlik, "", r"\d{11}", r"kimlik|t\.?c\.? ?(?:no|k)|tckn"),
    ),
    12: (
        _id("in_aadhaar", verhoeff, "", r"[2-9]\d{3}([ -]?)\d{4}\1\d{4}", r"aadha+r|uidai|आधार"),
        _id("jp_my_number", _jp_my_number, "", r"\d{4}([ -]?)\d{4}\1\d{4}", r"my ?number|マイナンバー|個人番号"),
        _id("se_personnummer", _se_personnummer, r"(?:19|20)\d{6}-\d{4}", r"\d{12}", r"person(?:nummer|nr)"),
    ),
    13: (
        _id("kr_rrn", _kr_rrn, r"\d{6}-\d{7}"),
        # Those given out since October 2020 have no check digit.
        _id("kr_rrn", _kr_date, "", r"\d{6}-?\d{7}", r"rrn\b|resident registration|주민"),
        _id("za_id", _za_id, "", r"\d{6} ?\d{4} ?\d{3}", r"id(?:entity)? (?:no|num)|rsa id|sa id|south african id"),
    ),
    14: (_id("br_cnpj", _br_cnpj, r"\d\d\.\d{3}\.\d{3}/\d{4}-\d\d", r"\d{14}", r"cnpj"),),
    15: (_id("fr_nir", _fr_nir, r"[1-478] ?\d\d ?\d\d ?\d\d ?\d{3} ?\d{3} ?\d\d"),),
    18: (_id("cn_resident", _cn_resident, r"[1-689]\d{5}(?:19|20)\d{10}"),),
}

#: Numbers with letters in them, by a pattern each; all have six digits close together but India's PAN, with four.
_LETTERED = (
    _id("uk_nino", _uk_nino, r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"),
    _id("es_dni", _es_letter, r"\d{8}[ -]?[A-HJ-NP-TV-Z]"),
    _id("es_nie", _es_nie, r"[XYZ][ -]?\d{7}[ -]?[A-HJ-NP-TV-Z]"),
    _id("it_codice_fiscale", _it_codice_fiscale, r"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]"),
    _id("fi_hetu", _fi_hetu, r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]"),
    _id("sg_nric", _sg_nric, r"[STFG]\d{7}[A-Z]"),
    _id("fr_nir", _fr_nir, r"[1-478] ?\d\d ?\d\d ?2[AB] ?\d{3} ?\d{3} ?\d\d"),
    _id("cn_resident", _cn_resident, r"[1-689]\d{5}(?:19|20)\d{9}X"),
    _id("mx_curp", _mx_curp, r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[0-9A-Z]\d"),
)
_PAN = _id("in_pan", _always, "", r"[A-Z]{3}[PCHFATBLJG][A-Z]\d{4}[A-Z]", r"pan\b|permanent account")

_JOINED = "|".join(f"(?P<i{place}>{item.alone.pattern})" for place, item in enumerate(_LETTERED) if item.alone)
_CANDIDATE = re.compile(rf"(?<![0-9A-Za-z_.])(?:{_JOINED})(?![0-9A-Za-z_]|[-.][0-9{FILLERS}])", re.ASCII)
#: The farthest that such a number reaches beyond its dense digits.
_BEFORE, _BEHIND = 8, 12
_PAN_CANDIDATE = re.compile(r"(?<![0-9A-Za-z_])[A-Z]{5}[0-9]{4}[A-Z](?![0-9A-Za-z_])")


def digits_id(text: str, digits: str, context: str) -> str | None:
    """The name of the national id that a run of digits is, if it is one."""
    for item in _DIGITS.get(len(digits), ()):
        if item.fits(text, digits, context):
            return item.name
    return None


def lettered_ids(work: str, places: Iterable[tuple[int, int]]) -> list[Span]:
    """National ids with letters in them, in order; `places` is where digits are dense."""
    found, last = [], 0
    for start, end in places:
        for near in _CANDIDATE.finditer(work, max(last, start - _BEFORE), end + _BEHIND):
            match = _CANDIDATE.match(work, near.start())  # again, with what lies beyond in sight
            if match is None:
                continue
            item = _LETTERED[int((match.lastgroup or "i0")[1:])]
            if item.check(re.sub("[ -]", "", match[0])):
                last = match.end()
                found.append(Span(*match.span(), "national_id", item.name))
    if "PAN" in work or "Permanent" in work:
        found += [span for match in _PAN_CANDIDATE.finditer(work) if (span := _pan(work, match))]
        found.sort()
    return found


def _pan(work: str, match: re.Match[str]) -> Span | None:
    fits = _PAN.fits(match[0], match[0], before(work, match.start()))
    return Span(*match.span(), "national_id", _PAN.name) if fits else None
