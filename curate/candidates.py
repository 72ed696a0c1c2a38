"""From pages to candidates: one row in, one row out, whatever the page holds.

`Candidates(config).batch(pages)` takes rows of `web.pages` and gives rows of `corpus.candidates`: the text,
its language, every signal and the MinHash signature. A page without text keeps its row: `outcome` says why,
and text and signals are null. Language and Gopher's signals are of the normalised text, C4's of its lines and
FineWeb's of what C4's line rules leave, whatever the preset. Where the preset removes lines, what they leave is
also the candidate's text, and may be empty: the rules judge that. Last of all personal data in that text is masked,
so MinHash and digest see the placeholders. Extraction and normalisation run in a child process that can be killed;
the rest is all but linear in the text.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from millpond.curate.config import CurateConfig
from millpond.curate.dedup.minhash import MinHasher
from millpond.curate.isolate import OK, Item, shared_child
from millpond.curate.privacy.pii import mask
from millpond.curate.privacy.span import KINDS
from millpond.curate.signals.language import identify
from millpond.curate.signals.measure import Measure
from millpond.curate.times import Times
from millpond.reasons import Reason
from millpond.schemas import CANDIDATES, SOURCE

Row = dict[str, Any]

_COPIED = ("url", "registered_domain", "fetched_at", "crawl", *(name for name, _ in SOURCE))
#: Columns of a page that are read; a scan needs no others.
PAGE_COLUMNS = ("page_id", *_COPIED, "content_type", "charset", "body")
#: What the child process answers under the same name.
_ANSWERED = ("title", "author", "page_type", "declared_language", "extractor", "decoded_bytes", "extracted_bytes")
_BYTES = ("normalised_bytes", "cleaned_bytes", "text_bytes")


class Candidates:
    """Turns batches of pages into batches of candidates."""

    def __init__(self, config: CurateConfig) -> None:
        self.config = config
        banding = config.dedup.banding
        self._hasher = MinHasher(banding.num_perm, banding.ngram, config.dedup.seed, banding.shingles)
        self._measure = Measure(config)
        self._bounds = config.normalise.model_dump_json()
        self._settings = config.extract.model_dump_json()
        self.times = Times()
        """Where the time went."""

    def batch(self, pages: pa.RecordBatch) -> pa.RecordBatch:
        """Candidates of a batch of pages (at least columns `PAGE_COLUMNS`), in the same order.

        Raises:
            IsolateError: the child process cannot be started.
        """
        rows: list[Row] = []
        texts: list[str] = []
        text_of: list[int | None] = []
        for row, text in self._extracted(pages.to_pylist()):
            rows.append(row)
            text_of.append(None if text is None else len(texts))
            texts += [] if text is None else [text]
        schema = CANDIDATES.schema
        # What is measured on texts is null for pages without; their bytes are none.
        places = pa.array(text_of, pa.int64())
        columns = {
            name: pa.array(values, schema.field(name).type).take(places)
            for name, values in self._measured(texts).items()
        }
        columns |= {name: pc.fill_null(columns[name], 0) for name in _BYTES}
        columns |= {name: pages.column(name) for name in _COPIED}
        for field in schema:
            if field.name not in columns:
                columns[field.name] = pa.array([row.get(field.name) for row in rows], field.type)
        return pa.RecordBatch.from_pydict(columns, schema=schema)

    def _measured(self, texts: list[str]) -> dict[str, Sequence[Any]]:
        """Columns of normalised texts. One step is taken over all texts before the next: caches stay warm."""
        step = self.times.step
        normalised_bytes = [len(text.encode()) for text in texts]
        with step("language"):
            languages = [identify(text) for text in texts]
        with step("signals"):
            signals, texts = self._measure(texts, [language for language, _ in languages])
        cleaned_bytes = [len(text.encode()) for text in texts]
        with step("personal data"):
            masked = [mask(text, self.config.pii) for text in texts]
        texts = [text for text, _ in masked]
        with step("MinHash"):
            signatures = self._hasher.signatures(texts)
        data = [text.encode() for text in texts]
        return {
            **signals,
            **{f"pii_{kind}_count": [found[kind] for _, found in masked] for kind in KINDS},
            "pii_count": [sum(found.values()) for _, found in masked],
            "normalised_bytes": normalised_bytes,
            "cleaned_bytes": cleaned_bytes,
            "language": [language for language, _ in languages],
            "language_score": [score for _, score in languages],
            "text": data,
            "text_bytes": list(map(len, data)),
            "perplexity_bucket": [
                self.config.perplexity[language].bucket(value) if language in self.config.perplexity else None
                for value, (language, _) in zip(signals["perplexity"], languages, strict=True)
            ],
            "text_digest": [hashlib.sha256(encoded).hexdigest() for encoded in data],
            "minhash": signatures,
        }

    def _extracted(self, pages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Row, str | None]]:
        """Each page's normalised text, or None, and the columns that tell how it went."""
        settings = self.config.extract
        child = shared_child("millpond.curate.extract:page", settings.timeout_seconds, settings.memory_mb)
        results = child.map(self._item(page) for page in pages if len(page["body"]) <= settings.max_body_bytes)
        start = time.perf_counter()
        for page in pages:
            row: Row = {"doc_id": page["page_id"], "body_bytes": len(page["body"])}
            row.update(decoded_bytes=0, extracted_bytes=0)
            if len(page["body"]) > settings.max_body_bytes:
                row.update(outcome=Reason.TOO_LARGE, outcome_detail=f"more than {settings.max_body_bytes} bytes")
                yield row, None
                continue
            result = next(results)
            start, before = time.perf_counter(), start
            self._took(page["url"], start - before, result.header.get("seconds", {}))
            row.update(outcome=result.outcome, outcome_detail=result.detail)
            for name in _ANSWERED:
                row[name] = result.header.get(name, row.get(name))
            if result.header.get("published_at"):
                row["published_at"] = date.fromisoformat(result.header["published_at"])
            yield row, result.payload.decode() if result.outcome == OK else None

    def _item(self, page: Mapping[str, Any]) -> Item:
        """A page as the child takes it."""
        fetched = page["fetched_at"]
        header = {
            "charset": page["charset"],
            "content_type": page["content_type"],
            "url": page["url"],
            "extract": self._settings,
            "fetched": fetched.date().isoformat() if fetched else None,
            "bounds": self._bounds,
        }
        return header, page["body"]

    def _took(self, url: str, seconds: float, steps: Mapping[str, float]) -> None:
        """Note a page's time since the one before; what the child does not account for is handing over, or the time
        of one that died."""
        self.times.page(url, seconds)
        for name, share in steps.items():
            self.times.add(name, share)
        self.times.add("isolation", seconds - sum(steps.values()))
