"""From pages to candidates: one row in, one row out, whatever the page holds.

`Candidates(config).batch(pages)` takes rows of `web.pages` and gives rows of `corpus.candidates`: the text,
its language, every signal and the MinHash signature. A page without text keeps its row: `outcome` says why,
and text and signals are null. Language and Gopher's signals are of the normalised text, C4's of its lines and
FineWeb's of what C4's line rules leave, whatever the preset. Where the preset removes lines, what they leave is
also the candidate's text, and may be empty: the rules judge that. Last of all personal data in that text is masked,
so MinHash and digest see the placeholders. Extraction and normalisation run in a child
process that can be killed; the rest is all but linear in the text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from millpond.curate import c4, fineweb, gopher
from millpond.curate.config import CurateConfig
from millpond.curate.isolate import OK, Isolated
from millpond.curate.language import identify
from millpond.curate.minhash import MinHasher
from millpond.curate.privacy.flagged import FlaggedWords
from millpond.curate.privacy.pii import mask
from millpond.curate.words import split_words
from millpond.schemas import CANDIDATES, SIGNALS, SOURCE, Reason

Row = dict[str, Any]

_COPIED = ("url", "registered_domain", "fetched_at", *(name for name, _ in SOURCE))
#: Columns of a page that are read; a scan needs no others.
PAGE_COLUMNS = ("page_id", *_COPIED, "content_type", "charset", "body")


class Candidates:
    """Turns batches of pages into batches of candidates; a context manager that holds the child process."""

    def __init__(self, config: CurateConfig, flagged: FlaggedWords | None = None) -> None:
        self.config = config
        self._flagged = FlaggedWords(config.flagged.words) if flagged is None else flagged
        self._child = Isolated(
            "millpond.curate.extract:page", config.extract.timeout_seconds, config.extract.memory_mb
        )
        self._hasher = MinHasher(config.dedup.num_perm, config.dedup.ngram, config.dedup.seed)
        self._bounds = config.normalise.model_dump()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process."""
        self._child.close()

    def batch(self, pages: pa.RecordBatch) -> pa.RecordBatch:
        """Candidates of a batch of pages (at least columns `PAGE_COLUMNS`), in the same order.

        Raises:
            IsolateError: the child process cannot be started.
        """
        rows = [self._row(page) for page in pages.to_pylist()]
        return pa.RecordBatch.from_pylist(rows, schema=CANDIDATES.schema)

    def _row(self, page: Mapping[str, Any]) -> Row:
        row: Row = dict.fromkeys(CANDIDATES.schema.names)
        row.update({name: page[name] for name in _COPIED})
        row.update(doc_id=page["page_id"], body_bytes=len(page["body"]))
        row.update(dict.fromkeys(("decoded_bytes", "extracted_bytes", "normalised_bytes", "text_bytes"), 0))
        row["cleaned_bytes"] = 0
        text = self._text(page, row)
        if text is None:
            return row
        row["normalised_bytes"] = len(text.encode())
        row["language"], row["language_score"] = identify(text)
        words = split_words(text)
        signals = gopher.quality(text, words) | gopher.repetition(text, words)
        signals |= c4.signals(text, self.config.c4)
        cleaned = c4.clean_lines(text, self.config.c4)
        signals |= fineweb.signals(cleaned, len(words if cleaned == text else split_words(cleaned)))
        flagged = self._flagged.count(text, words, row["language"])
        signals |= {"flagged_word_count": flagged, "flagged_word_ratio": _ratio(flagged, signals["word_count"])}
        if self.config.removes_lines:
            text = cleaned
        masked, found = mask(text, self.config.pii)
        signals |= {f"pii_{kind}_count": count for kind, count in found.items()} | {"pii_count": sum(found.values())}
        row.update({name: signals[name] for name, _ in SIGNALS})
        row["cleaned_bytes"] = len(text.encode())
        text, data = masked, masked.encode()
        row.update(
            text=text,
            text_bytes=len(data),
            text_digest=hashlib.sha256(data).hexdigest(),
            minhash=self._hasher.signatures([text])[0],
        )
        return row

    def _text(self, page: Mapping[str, Any], row: Row) -> str | None:
        """The page's normalised text, or None; fills in the columns that tell how it went."""
        settings = self.config.extract
        if len(page["body"]) > settings.max_body_bytes:
            row.update(outcome=Reason.TOO_LARGE, outcome_detail=f"more than {settings.max_body_bytes} bytes")
            return None
        fetched = page["fetched_at"]
        header = {
            "charset": page["charset"],
            "content_type": page["content_type"],
            "url": page["url"],
            "extractor": settings.extractor,
            "fetched": fetched.date().isoformat() if fetched else None,
            "bounds": self._bounds,
        }
        result = self._child.run(header, page["body"])
        row.update(outcome=result.outcome, outcome_detail=result.detail)
        for name in ("title", "author", "extractor", "decoded_bytes", "extracted_bytes"):
            row[name] = result.header.get(name, row[name])
        if result.header.get("published_at"):
            row["published_at"] = date.fromisoformat(result.header["published_at"])
        return result.payload.decode() if result.outcome == OK else None


def _ratio(count: float | None, total: float | None) -> float | None:
    return count / total if count is not None and total else None
