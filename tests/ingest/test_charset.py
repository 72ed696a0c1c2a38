"""Charset decisions, against real files in 30 encodings and html5lib's cases."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.ingest.charset import decide

#: Encodings as browsers read them, by folder of the real files.
READ_AS = {
    "gb2312": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "iso8859_9": "windows-1254",
}
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 5


@pytest.mark.parametrize(
    ("body", "header", "codec"),
    [
        (codecs.BOM_UTF8 + b"<meta charset=koi8-r>", "windows-1251", "utf-8-sig"),
        ("\ufeffhé".encode("utf-16-le"), "utf-8", "utf-16"),
        ("\ufeffhé".encode("utf-16-be"), None, "utf-16"),
        (b"<meta charset=utf-8>", "latin1", "windows-1252"),
        (b"<meta charset=utf-8>\xe9", "bogus", "utf-8"),
        (b"<meta charset=utf-16>\xe9", None, "utf-8"),
        (b"<meta charset='GB2312'>\xe9", None, "gb18030"),
        (b"<meta charset=x-mac-cyrillic>\xe9", None, "mac-cyrillic"),
        (b"<meta content=\"text/html; charset='big5'\" http-equiv=Content-Type>\xe9", None, "big5hkscs"),
        (b"<meta name=x content='charset=big5'>caf\xc3\xa9", None, "utf-8"),
        (b"<!-- <meta charset=big5> --><meta charset=euc-kr>\xe9", None, "cp949"),
        (b"<?xml version='1.0' encoding='iso-8859-2'?><p>\xe9", None, "iso8859-2"),
        (RUSSIAN.encode("koi8-r"), None, "koi8-r"),
        (RUSSIAN.encode(), None, "utf-8"),
        (RUSSIAN.encode()[:-1], None, "utf-8"),
        (b"<p>" + b" " * 2000 + b"<meta charset=iso-8859-7>\xe1\xe2", None, "iso8859-7"),
        ("今日は良い天気です。".encode("iso2022_jp") * 5, None, "iso2022_jp"),
        (b"", None, "utf-8"),
    ],
)
def test_order_of_evidence(body: bytes, header: str | None, codec: str) -> None:
    decided = decide(body, header)
    assert codecs.lookup(decided).name == codecs.lookup(codec).name


def test_a_byte_order_mark_is_not_part_of_the_text() -> None:
    for codec in ("utf-8-sig", "utf-16"):
        body = "<p>é".encode(codec)
        assert body.decode(decide(body, None)) == "<p>é"


@given(st.binary(max_size=2000), st.none() | st.text(max_size=30))
def test_always_a_usable_decision(body: bytes, header: str | None) -> None:
    assert isinstance(body.decode(decide(body, header), "replace"), str)


@given(
    st.lists(st.sampled_from(["<meta ", "charset", "=", "'", '"', ">", "utf-8", "<!--", "-->", "\xff", "</", "<?"]))
)
def test_any_markup_gives_a_usable_decision(pieces: list[str]) -> None:
    body = "".join(pieces).encode("latin-1")
    assert isinstance(body.decode(decide(body, None), "replace"), str)


def test_real_files(test_data: Path) -> None:
    right, wrong = 0, []
    for path in sorted((test_data / "charset").glob("*/*")):
        label = path.parent.name
        if label == "None":
            continue
        body = path.read_bytes()
        text = body.decode(READ_AS.get(label, label), "replace").removeprefix("\ufeff")
        if body.decode(decide(body, None), "replace").removeprefix("\ufeff") == text:
            right += 1
        else:
            wrong.append(f"{label}/{path.name}")
    assert right + len(wrong) == 201
    assert right >= 198, wrong


def test_html5lib_cases(test_data: Path) -> None:
    right, total = 0, 0
    for path in sorted((test_data / "html5lib_tests" / "encoding").rglob("*.dat")):
        for case in path.read_bytes().split(b"#data\n")[1:]:
            body, _, encoding = case.rpartition(b"\n#encoding\n")
            expected = decide(b"", encoding.split(b"\n")[0].decode().strip())
            total += 1
            text = body.decode(decide(body, None), "replace").removeprefix("\ufeff")
            right += text == body.decode(expected, "replace").removeprefix("\ufeff")
    assert total >= 80
    assert right >= total - 1  # one case runs a script that writes the declaration


#: Encoding → a language that was written in it, and the codec that writes it.
WRITTEN = {
    "utf-8": ("el", "utf-8"),
    "windows-1252": ("fr", "cp1252"),
    "iso-8859-2": ("pl", "iso8859-2"),
    "windows-1250": ("cs", "cp1250"),
    "windows-1251": ("ru", "cp1251"),
    "koi8-r": ("ru", "koi8-r"),
    "iso-8859-7": ("el", "iso8859-7"),
    "windows-1255": ("he", "cp1255"),
    "windows-1256": ("ar", "cp1256"),
    "shift_jis": ("ja", "cp932"),
    "gb18030": ("zh", "gb18030"),
    "euc-kr": ("ko", "cp949"),
}
PAGE = "<html><head>{meta}<title>-</title></head><body>{body}</body></html>"


def sentences(folder: Path, language: str, codec: str) -> list[str]:
    lines = (folder / f"{language}.txt").read_text().splitlines()
    return [line for line in lines if line.strip() and line.encode(codec, "ignore").decode(codec) == line]


def test_encodings_by_header_by_declaration_by_neither_and_against_a_lying_header(test_data: Path) -> None:
    """Text for text; what a lying header says, the bytes or the declaration refute."""
    right: dict[str, list[bool]] = {}
    for label, (language, codec) in WRITTEN.items():
        lines = sentences(test_data / "langid" / "lingua_sentences", language, codec)
        lies = ["iso-8859-1"] if label == "utf-8" else ["utf-8", "iso-8859-1"]
        lies = [lie for lie in lies if (label, lie) != ("windows-1252", "iso-8859-1")]  # the same to all browsers
        cases = [("header", label, False), ("meta", None, True), ("none", None, False)]
        cases += [("lie", lie, declared) for lie in lies for declared in (False, True)]
        for first in range(0, 96, 12):
            body = "\n".join(f"<p>{line}</p>" for line in lines[first : first + 12])
            for case, header, declared in cases:
                text = PAGE.format(meta=f"<meta charset={label}>" if declared else "", body=body)
                data = text.encode(codec)
                right.setdefault(case, []).append(data.decode(decide(data, header), "replace") == text)
    shares = {case: sum(found) / len(found) for case, found in right.items()}
    assert len(right["lie"]) > 300
    assert min(shares.values()) >= 0.95, shares


def test_a_true_header_is_believed(test_data: Path) -> None:
    """Western text says nothing against `iso-8859-1`, however short it is."""
    for language in ("ca", "da", "de", "es", "fi", "fr", "is", "it", "nl", "pt", "sq", "sv"):
        for line in sentences(test_data / "langid" / "lingua_sentences", language, "cp1252")[:200]:
            data = line.encode("cp1252")
            if "Ã" not in line:  # some lines were broken before they came here
                assert data.decode(decide(data, "iso-8859-1"), "replace") == line
