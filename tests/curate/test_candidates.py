"""Every page becomes exactly one candidate of the table's columns, whatever it holds."""

from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from millpond.curate.candidates import Candidates
from millpond.curate.config import CurateConfig
from millpond.curate.dedup.minhash import MinHasher
from millpond.curate.presets import rules_for
from millpond.curate.rules import verdict
from millpond.reasons import Reason
from millpond.schemas import CANDIDATES, PAGES, SCORES, SIGNALS

PARAGRAPH = "This is a paragraph that has to be kept with the page, number {n}, and it ends here."
PAGE = "<html><head><title>A title</title></head><body><article>{}</article></body></html>"
BODY = PAGE.format("".join(f"<p>{PARAGRAPH.format(n=n)}</p>" for n in range(12))).encode()


def pages(*changes: dict[str, Any]) -> pa.RecordBatch:
    rows = []
    for place, change in enumerate(changes):
        row: dict[str, Any] = {
            "page_id": f"{place:032x}",
            "url": f"http://h.test/{place}",
            "host": "h.test",
            "registered_domain": "h.test",
            "fetched_at": datetime(2024, 1, 2, tzinfo=UTC),
            "status": 200,
            "content_type": "text/html",
            "charset": "utf-8",
            "body": BODY,
            "crawl": "test",
            "source_file": "a.warc.gz",
            "source_offset": place,
            "source_length": 10,
            **change,
        }
        rows.append(row | {"payload_digest": hashlib.sha256(row["body"]).hexdigest()})
    return pa.RecordBatch.from_pylist(rows, schema=PAGES.schema)


@pytest.fixture(scope="module")
def candidates() -> Candidates:
    return Candidates(CurateConfig())


def test_a_page_with_text(candidates: Candidates) -> None:
    batch = candidates.batch(pages({}))
    assert batch.schema == CANDIDATES.schema
    [row] = batch.to_pylist()
    assert row["doc_id"] == f"{0:032x}"
    assert (row["outcome"], row["outcome_detail"]) == ("ok", None)
    assert row["extractor"].startswith("millpond ")
    assert row["title"] == "A title"
    assert row["language"] == "en" and row["language_score"] > 0.65
    assert row["text"] == "\n".join(PARAGRAPH.format(n=n) for n in range(12))
    data = row["text"].encode()
    assert row["text_digest"] == hashlib.sha256(data).hexdigest()
    steps = ("extracted_bytes", "normalised_bytes", "cleaned_bytes", "text_bytes")
    assert {row[name] for name in steps} == {len(data)}
    assert row["body_bytes"] == row["decoded_bytes"] == len(BODY)
    assert row["minhash"] == MinHasher().signatures([row["text"]])[0]
    assert row["c4_sentence_count"] == 12
    # No list and no model was given.
    of_lists = ["c4_bad_word_count", "flagged_word_count", "flagged_word_ratio"]
    of_models = ["unigram_log_probability", "perplexity", *(f"{name}_score" for name in SCORES)]
    assert [name for name, _ in SIGNALS if row[name] is None] == [*of_lists, *of_models]
    assert (row["source_file"], row["source_offset"], row["fetched_at"].year) == ("a.warc.gz", 0, 2024)


def test_pages_without_text_keep_their_row(candidates: Candidates) -> None:
    batch = candidates.batch(
        pages(
            {"content_type": "application/pdf"},
            {"body": b""},
            {"body": b"\xe2\x80\x8b" * 50, "content_type": "text/plain"},
            {},
        )
    )
    rows = batch.to_pylist()
    assert [row["outcome"] for row in rows] == ["unsupported_type", "empty", "empty", "ok"]
    for row in rows[:-1]:
        assert Reason(row["outcome"])
        empty = ("text", "text_digest", "minhash", "language", "language_score", *(name for name, _ in SIGNALS))
        assert all(row[name] is None for name in empty)
        assert row["text_bytes"] == 0
    assert [row["normalised_bytes"] for row in rows[:3]] == [0, 0, 0]
    assert [row["source_offset"] for row in rows] == list(range(4))


def test_a_text_that_loses_every_line_is_left_to_the_rules(candidates: Candidates) -> None:
    body = b"\n".join(b"Of that line number %d JavaScript is the reason to be gone." % n for n in range(20))
    [row] = candidates.batch(pages({"body": body, "content_type": "text/plain"})).to_pylist()
    assert (row["outcome"], row["text"], row["text_bytes"]) == ("ok", "", 0)
    assert (row["language"], row["normalised_bytes"]) == ("en", len(body))
    assert (row["c4_sentence_count"], row["fineweb_short_line_ratio"]) == (0, None)
    rules = [rule for rule in rules_for(CurateConfig()) if rule.reason != Reason.GOPHER_REPETITION]
    rule = verdict(rules, row)
    assert rule is not None and rule.name == "min_c4_sentence_count"


def test_signals_and_language_do_not_depend_on_the_preset(candidates: Candidates) -> None:
    text = "Une ligne courte\nici\n" * 3 + "\n".join(PARAGRAPH.format(n=n) for n in range(6))
    batch = pages({"body": text.encode(), "content_type": "text/plain"})
    other = Candidates(CurateConfig.from_mapping({"rules": {"preset": "api-docs"}}, "test"))
    [cut], [whole] = candidates.batch(batch).to_pylist(), other.batch(batch).to_pylist()
    assert "ici" in whole["text"] and "ici" not in cut["text"]
    names = ("language", "language_score", *(name for name, _ in SIGNALS))
    assert [cut[name] for name in names] == [whole[name] for name in names]


def test_personal_data_is_masked_behind_the_line_rules(candidates: Candidates) -> None:
    lines = [PARAGRAPH.format(n=n) for n in range(6)]
    told = "Write to jane@example.com or to joe@example.com, or call +49 (0)40 / 49 07 11 06 on any day."
    body = "\n".join((*lines, told, "jim@example.com is short")).encode()
    batch = pages({"body": body, "content_type": "text/plain"}, {"body": body, "content_type": "text/plain"})
    first, second = candidates.batch(batch).to_pylist()
    masked = "Write to <EMAIL> or to <EMAIL>, or call +49 (0)40 / 49 07 11 06 on any day."
    assert first["text"].split("\n")[6:] == [masked, "<EMAIL> is short"]
    assert (first["pii_email_count"], first["pii_phone_count"], first["pii_count"]) == (3, 1, 4)
    assert first["cleaned_bytes"] == first["text_bytes"] + len("janejoejim") + 3 * len("@example.com") - 3 * len(
        "<EMAIL>"
    )
    assert first["text_digest"] == hashlib.sha256(first["text"].encode()).hexdigest() == second["text_digest"]
    assert first["minhash"] == MinHasher().signatures([first["text"]])[0]


def test_flagged_words_are_counted_before_the_line_rules(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# a comment\n\nParagraph\nhas to be\n")
    running = Candidates(CurateConfig.from_mapping({"flagged": {"words": {"en": str(path)}}}, "test"))
    [row] = running.batch(pages({})).to_pylist()
    assert row["flagged_word_count"] == 24
    assert row["flagged_word_ratio"] == 24 / row["word_count"]


def test_no_pages(candidates: Candidates) -> None:
    empty = PAGES.schema.empty_table().to_batches() or [pages()]
    batch = candidates.batch(empty[0])
    assert batch.num_rows == 0
    assert batch.schema == CANDIDATES.schema


def test_columns_that_may_be_null(candidates: Candidates) -> None:
    nothing = dict.fromkeys(("content_type", "charset", "fetched_at", "registered_domain", "source_length"))
    assert candidates.batch(pages(nothing)).to_pylist()[0]["outcome"] == "ok"


def test_bytes_are_counted_at_every_step(candidates: Candidates) -> None:
    text = PARAGRAPH.format(n=1) + "\r\nshort\r\n" + PARAGRAPH.format(n=2) + "\r\n"
    body = (text + "caf\xe9 is here too").encode("latin-1")
    [row] = candidates.batch(
        pages({"body": body, "content_type": "text/plain", "charset": "windows-1252"})
    ).to_pylist()
    assert row["body_bytes"] == len(body)
    assert row["decoded_bytes"] == row["extracted_bytes"] == len(body) + 1
    assert row["normalised_bytes"] == row["extracted_bytes"] - 3
    assert row["text_bytes"] == row["cleaned_bytes"] == row["normalised_bytes"] - len("short\n")
    assert "short" not in row["text"]


def test_settings_reach_the_work() -> None:
    config = CurateConfig.from_mapping(
        {
            "extract": {"extractor": "resiliparse", "max_body_bytes": 5000},
            "c4": {"remove_lines": False},
            "dedup": {"bands": 4, "rows": 4},
        },
        "test",
    )
    running = Candidates(config)
    rows = running.batch(
        pages({"body": b"one line\n", "content_type": "text/plain"}, {"body": b"x" * 5001}, {})
    ).to_pylist()
    assert rows[0]["text"] == "one line\n"
    assert len(rows[0]["minhash"]) == 4 * 16
    assert (rows[1]["outcome"], rows[1]["body_bytes"]) == ("too_large", 5001)
    assert rows[2]["extractor"].startswith("resiliparse ")


def test_a_page_that_kills_its_reader_leaves_its_neighbours_alone() -> None:
    config = CurateConfig.from_mapping({"extract": {"extractor": "trafilatura", "timeout_seconds": 0.4}}, "test")
    slow = PAGE.format("a<br>" * 19_900).encode()
    running = Candidates(config)
    rows = running.batch(pages({}, {"body": slow}, {})).to_pylist()
    assert [row["outcome"] for row in (rows[0], rows[2])] == ["ok", "ok"]
    assert rows[0]["text"] == rows[2]["text"]
    assert (rows[1]["outcome"], rows[1]["outcome_detail"]) == ("extract_timeout", "0.4 s")
    assert rows[1]["text"] is None


def test_real_pages_in_any_batches_give_the_same_rows(candidates: Candidates, wcxb: list[Path]) -> None:
    bodies = [{"body": gzip.decompress(path.read_bytes())} for path in wcxb[:8]]
    batch = pages(*bodies)
    whole = candidates.batch(batch)
    parts = [candidates.batch(batch.slice(start, 3)) for start in (6, 3, 0)]
    assert pa.Table.from_batches(parts[::-1]).equals(pa.Table.from_batches([whole]))
    assert sum(row["outcome"] == "ok" for row in whole.to_pylist()) >= 7
