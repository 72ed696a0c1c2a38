"""presidio's side of the comparison, and the texts that Faker writes; runs in the peer's environment.

    .bench/presidio/bin/python benchmarks/presidio_side.py make TEXTS.json --seed 1
    .bench/presidio/bin/python benchmarks/presidio_side.py find TEXTS.json FOUND.json

`make` writes texts with spans: for each locale and kind half of the values stand behind a label and half in a plain
sentence, and as many texts hold what only looks like personal data. `find` has presidio's default recognisers for
English find what they know, over spaCy's tokenizer and lookup lemmatizer (its context words need lemmas). Imports
nothing of Millpond.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import spacy
import tldextract
from faker import Faker
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine

Text = dict[str, Any]

LOCALES = (
    *("en_US", "en_GB", "en_CA", "en_IN", "de_DE", "fr_FR", "it_IT", "es_ES", "pt_BR", "nl_NL", "pl_PL", "cs_CZ"),
    *("sv_SE", "tr_TR", "ja_JP", "zh_CN"),
)
EACH = 10
#: No date lies behind this one, so that the texts are the same on any day.
_END = datetime(2025, 1, 1)
LABELS = {
    "PHONE_NUMBER": ("Phone: ", "You can call me at ", "Fax "),
    "CREDIT_CARD": ("Card number: ", "She paid with her credit card, ", "Visa "),
    "EMAIL_ADDRESS": ("E-mail: ", "Write to ", "Contact: "),
    "IBAN_CODE": ("IBAN: ", "Please pay to ", "Account "),
    "IP_ADDRESS": ("IP: ", "They came from the address ", "Server "),
    "US_SSN": ("SSN: ", "His social security number is ", "Social security: "),
}
PLAIN = ("It says {} on the back of the paper.", "Then there was {}, which nobody had seen before.", "{}")
NOTHING = ("It says {} on the back of the paper.", "Updated {} by the editor.", "Item {} is sold out.", "Price: {}")


class Blank(SpacyNlpEngine):  # type: ignore[misc]
    """English without a statistical model."""

    def load(self) -> None:
        """Tokenizer and lookup lemmatizer."""
        nlp = spacy.blank("en")
        nlp.add_pipe("lemmatizer", config={"mode": "lookup"})
        nlp.initialize()
        self.nlp = {"en": nlp}


def make(seed: int) -> list[Text]:
    """Texts with spans `[start, end, kind]`."""
    texts = []
    for locale in LOCALES:
        fake = Faker(locale)
        fake.seed_instance(f"{seed} {locale}")
        for kind, value in _values(fake, locale).items():
            for place in range(EACH):
                text = str(value())
                if place % 2:
                    head, tail = LABELS[kind][place // 2 % 3], ""
                else:
                    head, _, tail = PLAIN[place // 2 % 3].partition("{}")
                span = [len(head), len(head) + len(text), kind]
                texts.append({"text": head + text + tail, "spans": [span], "labelled": bool(place % 2)})
        for value in _look_alikes(fake):
            for place in range(EACH // 2):
                texts.append({"text": NOTHING[place % 4].format(value()), "spans": []})
    return texts


def _values(fake: Any, locale: str) -> dict[str, Callable[[], str]]:
    values: dict[str, Callable[[], str]] = {
        "PHONE_NUMBER": fake.phone_number,
        "CREDIT_CARD": fake.credit_card_number,
        "EMAIL_ADDRESS": fake.ascii_email,
        "IBAN_CODE": fake.iban,
        "IP_ADDRESS": lambda: fake.ipv6() if fake.boolean(25) else fake.ipv4_public(),
    }
    return values | ({"US_SSN": fake.ssn} if locale == "en_US" else {})


def _look_alikes(fake: Any) -> list[Callable[[], str]]:
    return [
        lambda: fake.date(end_datetime=_END),
        lambda: fake.iso8601(end_datetime=_END),
        *(fake.ean13, fake.ean8, fake.isbn13, fake.isbn10, fake.uuid4, fake.md5),
        *(fake.pricetag, fake.mac_address, fake.file_name, fake.building_number),
        lambda: f"{fake.date(end_datetime=_END)[:4]}-{fake.date(end_datetime=_END)[:4]}",
        lambda: f"{fake.latitude()}, {fake.longitude()}",
        lambda: f"version {fake.numerify('#.##.#.##')}",
        lambda: fake.numerify("order %########"),
        lambda: fake.numerify("pp. %##-%##, %##-%##"),
        lambda: fake.numerify("%## ### ###"),
        lambda: fake.numerify("%###-%###-%#"),
    ]


def find(texts: list[Text]) -> dict[str, Any]:
    """What presidio finds in each text, and the seconds it took."""
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())  # its own list, no download
    engine = Blank(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.load()
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(nlp_engine=engine, languages=["en"])
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    start = time.perf_counter()
    found = [
        [[hit.start, hit.end, hit.entity_type] for hit in analyzer.analyze(text["text"], language="en")]
        for text in texts
    ]
    return {"found": found, "seconds": time.perf_counter() - start}


def main() -> None:
    """Make texts, or find personal data in them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("texts", type=Path)
    making.add_argument("--seed", type=int, required=True)
    finding = commands.add_parser("find")
    finding.add_argument("texts", type=Path)
    finding.add_argument("found", type=Path)
    options = parser.parse_args()
    if options.command == "make":
        options.texts.write_text(json.dumps(make(options.seed)))
    else:
        options.found.write_text(json.dumps(find(json.loads(options.texts.read_text()))))


if __name__ == "__main__":
    main()
