"""Telephone numbers: by the way they are written, or by a word before them that says what they are.

Without such a word only layouts that little else has are taken: `+` or `00` and a country code (ITU-T E.164), North
America's 3-3-4 with signs between (NANP), and a trunk `0` with the groups that Europe, Asia and Brazil write. A local
number such as `467 3395` needs its word. Dates, ranges of years, prices and book numbers are not telephones.
"""

from __future__ import annotations

import re

_COUNTRY_CODES = re.compile(
    r"(?:1|7|2[07]|3[0123469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    r"|2(?:1[1-8]|[2346]\d|5[0-8]|9[01789])|3(?:5\d|7\d|8[0-35-9])|42[013]|50\d|59\d|67[02-9]|68[0-35-9]|69[0-2]"
    r"|8(?:00|08|5[02-6]|70|8[0168])|9(?:6[0-8]|7[0-79]|9[2-689]))"
)
_NORTH_AMERICA = re.compile(
    r"(?:1[-. ]|001[-. ])?(?:\([2-9]\d\d\) ?-?[2-9]\d\d[-. ]\d{4}|[2-9]\d\d([-.])[2-9]\d\d\1\d{4})"
    r"|(?:001|1)[- ][2-9]\d\d[- ]\d{3}[- ]\d{4}"
)
_TRUNK = re.compile(
    r"0[1-9]\d{0,3}[-/ ]\d{5,8}"  # 0341 8387176
    r"|0[1-9]\d{0,3} ?[-/ ] ?\d{2,4}([- ])\d{2,4}(?:\1\d{2,4}){0,2}"  # 020 7946 0958, 0490 75 40 81
    r"|0[1-9](?:\.\d\d){4}"  # 03.93.92.16.85
    r"|0[1-9]\d{1,2}\.\d{3}\.\d{3,4}"
    r"|\(0[1-9]\d{0,3}\) ?[-/]?\d{2,8}(?:[- ]\d{2,5}){0,3}"
)
_BRAZIL = re.compile(r"\([1-9]\d\) ?9?\d{4}-\d{4}")
_GROUPED = re.compile(r"[+(]{0,2}\d+(?:\)?[-./ ]{0,3}\(?\d+){0,7}")
_DATE = re.compile(
    r"(?:1[89]|20)\d\d([-./ ])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])(?!\d)"
    r"|(?:0?[1-9]|[12]\d|3[01])([-./ ])(?:0?[1-9]|[12]\d|3[01])\2(?:1[89]|20)\d\d(?!\d)"
)
_DECIMAL = re.compile(r"\+?(?!\d{3}\.\d{4}$)\d+\.\d+")
_YEARS = re.compile(r"(?:1[5-9]|20)\d\d ?[-/] ?(?:1[5-9]|20)\d\d")
_BOOK = re.compile(r"97[89][- ]?\d.{8,12}")
_PRICE = re.compile(r"[$€£¥₹#№]\s?$")

_WORD = re.compile(
    r"(?<![a-z])(?:(?:tele)?phones?|tel|telefax|mobile|mob|cell|cellphone|fax|call(?:ing|ed)?|dial|ring|sms|whatsapp"
    r"|viber|hotline|helpline|voicemail|messages? to|answer(?:ing|s|ed)?|reach(?: \w{2,4})?(?: at| on)|contact"
    r"|(?:desk|office|direct|work|home|landline)(?: line| number)?:|telefon\w*|t[eé]l[eé]fono?|t[eé]l[eé]phone"
    r"|portable|m[oó]vil|celular|cellulare|telem[oó]vel|fone|ligue|llam[ea]r?|appelez|chiam\w+|handy|mobil|rufnummer|anruf\w*"
    r"|telefoon|gsm|mobiel|puhelin|puh|komórka|kom)(?![a-z])|тел(?:\.|ефон)|моб(?:\.|ильн)|факс|звоните"
    r"|電話|电话|手机|携帯|传真|ファックス|전화|휴대폰|फ़ोन|هاتف"
)
#: How far before a number its word may stand.
_WORD_REACH = 40


def names_phone(context: str) -> bool:
    """Whether the lower-case text before a number says that a telephone number follows."""
    return _WORD.search(context[-_WORD_REACH:]) is not None


def is_phone(text: str, digits: str, context: str, named: bool) -> bool:
    """Whether a run of digits is a telephone number; `named` where the text before it says so."""
    if _DECIMAL.fullmatch(text):
        return False
    if text[0] == "+":
        return _international(digits, text)
    if _DATE.match(text) or _YEARS.fullmatch(text) or _PRICE.search(context):
        return False
    if named and 7 <= len(digits) <= 13 and _GROUPED.fullmatch(text):
        return not (len(digits) == 13 and _BOOK.match(text))
    if text.startswith("00"):
        return not text.isdigit() and _international(digits[2:], text)
    if _TRUNK.fullmatch(text):
        return 9 <= len(digits) <= 11
    return _NORTH_AMERICA.fullmatch(text) is not None or _BRAZIL.fullmatch(text) is not None


def _international(digits: str, text: str) -> bool:
    if not _GROUPED.fullmatch(text) or not _COUNTRY_CODES.match(digits):
        return False
    digits = digits.replace("0", "", 1) if "(0)" in text else digits
    if digits[0] == "1":
        return len(digits) == 11
    return (8 if len(text) > len(digits) + 1 else 10) <= len(digits) <= 15
