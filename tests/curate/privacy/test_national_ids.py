"""National ids: published specimens are found, one wrong digit hides them, shared layouts need their word."""

from __future__ import annotations

import pytest

from millpond.curate.privacy.check_digits import luhn, mod_11_2, mod_11_10, mod_97, verhoeff
from millpond.curate.privacy.pii import find

#: What each number stands alone as, or behind its word; one that its check digits refuse; its name.
SPECIMENS = [
    ("us_ssn", "078-05-1120", "000-05-1120"),
    ("us_ssn", "SSN: 078051120", "SSN: 666051120"),
    ("us_itin", "912-70-1234", "912-69-1234"),
    ("uk_nino", "AB 12 34 56 C", "GB 12 34 56 C"),
    ("uk_nhs", "NHS number 943 476 5919", "NHS number 943 476 5918"),
    ("ca_sin", "SIN 130 692 544", "SIN 130 692 545"),
    ("au_tfn", "TFN 123 456 782", "TFN 123 456 781"),
    ("de_steuer_id", "86 095 742 719", "86 095 742 718"),
    ("de_steuer_id", "65929970489", "65929970488"),
    ("fr_nir", "2 55 08 14 168 025 38", "2 55 08 14 168 025 39"),
    ("fr_nir", "255081416802538", "255081416802537"),
    ("es_dni", "12345678Z", "12345678A"),
    ("es_nie", "X1234567L", "Y1234567L"),
    ("it_codice_fiscale", "RSSMRA85T10A562S", "RSSMRA85T10A562T"),
    ("nl_bsn", "BSN 111222333", "BSN 111222334"),
    ("be_rrn", "85.07.30-033.28", "85.07.30-033.29"),
    ("se_personnummer", "personnummer 811218-9876", "personnummer 811218-9875"),
    ("se_personnummer", "19811218-9876", "19811218-9875"),
    ("fi_hetu", "131052-308T", "131052-308U"),
    ("dk_cpr", "CPR 070761-4285", "CPR 073261-4285"),
    ("no_fodselsnummer", "150765 00565", "150765 00566"),
    ("pl_pesel", "PESEL 44051401359", "PESEL 44051401358"),
    ("pt_nif", "NIF 123 456 789", "NIF 123 456 788"),
    ("tr_kimlik", "T.C. Kimlik No: 10000000146", "T.C. Kimlik No: 10000000147"),
    ("za_id", "ID number 8001015009087", "ID number 8001015009088"),
    ("br_cpf", "529.982.247-25", "529.982.247-26"),
    ("br_cpf", "CPF 11144477735", "CPF 11111111111"),
    ("br_cnpj", "11.222.333/0001-81", "11.222.333/0001-82"),
    ("in_aadhaar", "Aadhaar 2341 2341 2346", "Aadhaar 2341 2341 2347"),
    ("in_pan", "PAN: ABCPE1234F", "PAN: ABCXE1234F"),
    ("cn_resident", "11010519491231002X", "110105194912310021"),
    ("cn_resident", "110105199003070375", "110105199003070376"),
    ("jp_my_number", "マイナンバー 1234 5678 9018", "マイナンバー 1234 5678 9017"),
    ("kr_rrn", "주민등록번호 900101-1234567", "주민등록번호 901301-1234567"),
    ("sg_nric", "S1234567D", "S1234567E"),
    ("mx_curp", "BOXW310820HNERXN09", "BOXW310820HNERXN08"),
]


@pytest.mark.parametrize(("name", "right", "wrong"), SPECIMENS)
def test_specimens(name: str, right: str, wrong: str) -> None:
    for text in (right, f"({right}).", f"It is {right}, they say"):
        assert [span.name for span in find(text, ["national_id"])] == [name]
    [span] = find(right, ["national_id"])
    assert right.endswith(right[span.start : span.end])
    assert find(wrong, ["national_id"]) == []


@pytest.mark.parametrize("right", [right for _, right, _ in SPECIMENS if " " in right and right.split()[0].isalpha()])
def test_a_layout_that_others_share_needs_its_word(right: str) -> None:
    [span] = find(right, ["national_id"])
    if span.start == 0:
        return  # the letters are part of the number
    number = right[span.start :]
    assert find(f"Look at {number} here", ["national_id"]) == []
    assert find(f"1{number}", ["national_id"]) == []


def test_part_of_something_longer_is_no_id() -> None:
    for text in (
        "1078-05-1120",
        "078-05-11201",
        "A12345678Z",
        "12345678ZZ",
        "x12345678Z_",
        "078-05-1120-3",
        "1.12345678Z",
    ):
        assert find(text, ["national_id"]) == [], text


def test_check_digits() -> None:
    assert luhn("4111111111111111") and not luhn("4111111111111112")
    assert mod_97("GB29NWBK60161331926819") and not mod_97("GB29NWBK60161331926818")
    assert mod_11_10("86095742719") and not mod_11_10("86095742718")
    assert mod_11_2("11010519491231002X") and not mod_11_2("110105194912310020")
    assert verhoeff("2363") and not verhoeff("2364")


@pytest.mark.parametrize("digits", ["2341 2341 2346".replace(" ", ""), "999941057058"])
def test_verhoeff_finds_every_wrong_digit_and_every_swap(digits: str) -> None:
    assert verhoeff(digits)
    for place, digit in enumerate(digits):
        for other in set("0123456789") - {digit}:
            assert not verhoeff(digits[:place] + other + digits[place + 1 :])
        swapped = digits[:place] + digits[place : place + 2][::-1] + digits[place + 2 :]
        assert swapped == digits or not verhoeff(swapped)
