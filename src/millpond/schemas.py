"""Every table of the lake: its columns, its row identity and the order of its rows in a file.

Stages never import each other; they meet in these tables. A column's meaning stands beside it. `key`
identifies a row, and the audits hold it unique.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

STRING, INT, LONG, FLOAT, BINARY = pa.string(), pa.int32(), pa.int64(), pa.float64(), pa.binary()
DATE = pa.date32()
INSTANT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class TableSpec:
    """One table: name `namespace.table`, Arrow columns, row identity, row order in a file."""

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    sort_by: tuple[str, ...] = ()


def _schema(columns: Iterable[tuple[str, pa.DataType]], required: Iterable[str] = ()) -> pa.Schema:
    required = set(required)
    return pa.schema([pa.field(name, kind, nullable=name not in required) for name, kind in columns])


#: Where a page came from: enough to read the very bytes again. Records that share one compressed member have
#: its offset, and no length.
SOURCE = (
    ("source_file", STRING),  # path or URL of the WARC or table file, or the crawl's start address
    (
        "source_offset",
        LONG,
    ),  # byte offset of the record (its gzip member, where compressed); row number of a table
    # Bytes of the record in the file, or null where the file does not say; of a table the row's lines, or its text.
    ("source_length", LONG),
)

PAGES = TableSpec(
    "web.pages",
    _schema(
        (
            ("page_id", STRING),  # 32 hex digits: digest of url, fetch time and payload digest
            ("url", STRING),
            ("host", STRING),
            ("registered_domain", STRING),
            ("fetched_at", INSTANT),
            ("status", INT),
            ("content_type", STRING),  # media type alone, lower case
            ("charset", STRING),  # decided at ingest: Python codec name; null for what is not text
            ("body", BINARY),  # the payload with content and transfer encodings undone
            ("payload_digest", STRING),  # sha256 (hex) of body
            ("crawl", STRING),
            *SOURCE,
            ("stated_digest", STRING),  # the archive's own digest of the payload as sent; revisits refer to it
        ),
        required=("page_id", "url", "body", "payload_digest", "source_file"),
    ),
    key=("page_id",),
    sort_by=("source_file", "source_offset"),
)

WEB_REJECTS = TableSpec(
    "web.rejects",
    _schema(
        (
            ("file", STRING),
            ("offset", LONG),
            ("length", LONG),
            ("url", STRING),
            ("reason", STRING),
            ("detail", STRING),
            ("records", LONG),  # records or fetches this row stands for; 1 but for kinds counted per file
            ("crawl", STRING),
        ),
        required=("reason", "records"),
    ),
    key=(),  # a log: two runs over one file may say the same
)

FRONTIER = TableSpec(
    "web.frontier",
    _schema(
        (
            ("crawl", STRING),
            ("seen_at", INSTANT),  # when the event happened
            ("url", STRING),
            ("host", STRING),
            ("depth", INT),
            ("state", STRING),  # known, fetched, refused, failed; of a host's own events host or robots
            ("next_fetch_at", INSTANT),  # not before; null for at once, or where it is decided on for good
            ("etag", STRING),
            ("last_modified", STRING),
            ("tries", INT),  # requests made for it; of a host, failures in a row
            # What came of it: page or the reason of its reject; of a known one `deferred` where it was put back.
            ("verdict", STRING),
            ("url_key", STRING),  # what addresses of one page share; one of them is fetched
            ("found", STRING),  # seed, link, redirect or sitemap
            ("round", LONG),  # of the crawl, from 1
            ("redirects", INT),  # that led there, one after the other
            ("payload_digest", STRING),  # of the page
            ("reservation", STRING),  # against training, as it was said: noai, tdm-reservation=1, …
            ("robots", STRING),  # of a robots event: the text of robots.txt or tdmrep.json
        ),
        required=("crawl", "seen_at", "url", "state", "url_key", "round"),
    ),
    key=("crawl", "url", "seen_at"),
)

#: What classifiers can score, by whether a high score speaks for a text. Fixed, so that every engine reads the same
#: plain columns, with bounds to skip by.
WANTED_SCORES, UNWANTED_SCORES = ("quality", "education"), ("toxicity", "adult")
SCORES = (*WANTED_SCORES, *UNWANTED_SCORES)

#: Scores of a text, by rule set; ratios are of 0..1 and null where the text has nothing to divide by. FineWeb's are of
#: the text after C4's line rules, whatever the preset.
SIGNALS = (
    # Gopher quality
    ("word_count", INT),  # words with at least one character that is not punctuation
    ("mean_word_length", FLOAT),  # characters, over the same words
    ("hash_word_ratio", FLOAT),
    ("ellipsis_word_ratio", FLOAT),
    ("bullet_line_ratio", FLOAT),
    ("ellipsis_line_ratio", FLOAT),
    ("alpha_word_ratio", FLOAT),
    ("stop_word_count", INT),  # distinct stop words present
    # Gopher repetition
    ("duplicate_paragraph_ratio", FLOAT),
    ("duplicate_paragraph_char_ratio", FLOAT),
    ("duplicate_line_ratio", FLOAT),
    ("duplicate_line_char_ratio", FLOAT),
    *((f"top_{n}gram_char_ratio", FLOAT) for n in (2, 3, 4)),
    *((f"duplicate_{n}gram_char_ratio", FLOAT) for n in range(5, 11)),
    # C4
    ("c4_lorem_ipsum_lines", INT),
    ("c4_curly_bracket_lines", INT),
    ("c4_sentence_count", INT),  # over the lines that C4's line rules keep
    ("c4_long_line_count", INT),  # lines of 200 characters and more
    ("c4_bad_word_count", INT),  # entries of the language's list that are there; null without a list
    # FineWeb
    ("fineweb_line_punctuation_ratio", FLOAT),
    ("fineweb_short_line_ratio", FLOAT),
    ("fineweb_duplicate_line_char_ratio", FLOAT),
    ("fineweb_newline_word_ratio", FLOAT),
    # RefinedWeb
    ("refinedweb_removed_word_ratio", FLOAT),  # words in what its line rules would remove
    # NeMo Curator
    ("curator_non_alphanumeric_ratio", FLOAT),  # characters
    ("curator_number_ratio", FLOAT),
    ("curator_url_ratio", FLOAT),
    ("curator_whitespace_ratio", FLOAT),
    ("curator_parenthesis_ratio", FLOAT),
    ("curator_unended_line_ratio", FLOAT),  # lines
    ("curator_boilerplate_ratio", FLOAT),  # paragraphs
    ("curator_alpha_word_ratio", FLOAT),  # words between white space
    ("curator_longest_word", INT),  # characters of the longest such word
    # Personal data in the text after line rules, masked or not
    *(
        (f"pii_{kind}_count", INT)
        for kind in ("email", "phone", "ip_address", "iban", "credit_card", "national_id", "secret")
    ),
    ("pii_count", INT),  # all of these together
    # Words of the user's lists in the text before line rules; null without lists
    ("flagged_word_count", INT),
    ("flagged_word_ratio", FLOAT),  # over word_count
    # The user's models, on the text before line rules; null without one for the text's language, and for a text
    # without words
    ("unigram_log_probability", FLOAT),  # natural, mean over the words
    ("perplexity", FLOAT),
    *((f"{name}_score", FLOAT) for name in SCORES),  # of 0..1, by a classifier
)

CANDIDATES = TableSpec(
    "corpus.candidates",
    _schema(
        (
            ("doc_id", STRING),  # the page's page_id
            ("url", STRING),
            ("registered_domain", STRING),
            ("fetched_at", INSTANT),
            ("outcome", STRING),  # ok, or the Reason why there is no text
            ("outcome_detail", STRING),
            ("extractor", STRING),  # name and version
            ("page_type", STRING),  # article, forum, product, …; null where the extractor does not tell
            ("declared_language", STRING),  # what the page says of itself, ISO 639 code
            ("title", STRING),
            ("author", STRING),
            ("published_at", DATE),
            ("language", STRING),  # ISO 639 code
            ("language_score", FLOAT),
            ("text", STRING),  # empty where the line rules left nothing
            ("text_digest", STRING),  # sha256 (hex) of text
            ("body_bytes", LONG),  # of the page's body
            ("decoded_bytes", LONG),  # of the body as UTF-8
            ("extracted_bytes", LONG),  # of the extracted text, before normalisation
            ("normalised_bytes", LONG),  # after normalisation, before line rules
            ("cleaned_bytes", LONG),  # after line rules, before personal data is masked
            ("text_bytes", LONG),  # of text
            *SIGNALS,
            ("perplexity_bucket", STRING),  # head, middle or tail; null without bounds for the language
            ("minhash", BINARY),  # little-endian uint32 values, datasketch's affine32 scheme
            ("crawl", STRING),
            *SOURCE,
        ),
        required=("doc_id", "url", "outcome"),
    ),
    key=("doc_id",),
    sort_by=("source_file", "source_offset"),
)

DOCUMENTS = TableSpec(
    "corpus.documents",
    _schema(
        (
            ("doc_id", STRING),
            ("url", STRING),
            ("registered_domain", STRING),
            ("fetched_at", INSTANT),
            ("page_type", STRING),
            ("title", STRING),
            ("author", STRING),
            ("published_at", DATE),
            ("language", STRING),
            ("language_score", FLOAT),
            ("text", STRING),
            ("text_digest", STRING),
            ("text_bytes", LONG),
            (
                "cluster_id",
                STRING,
            ),  # of the document and its copies: its own doc_id
            ("cluster_size", LONG),
            ("rules", STRING),  # digest of the rules that kept it
            *SOURCE,
        ),
        required=("doc_id", "url", "text", "text_digest", "cluster_id", "rules"),
    ),
    key=("doc_id",),
    sort_by=("doc_id",),
)

REJECTS = TableSpec(
    "corpus.rejects",
    _schema(
        (
            ("doc_id", STRING),
            ("url", STRING),
            ("stage", STRING),  # extract, filter, decontaminate or dedup
            ("reason", STRING),
            ("rule", STRING),  # the first rule that failed, in the preset's order
            ("value", FLOAT),
            ("threshold", FLOAT),
            ("text_bytes", LONG),
        ),
        required=("doc_id", "stage", "reason", "rule"),
    ),
    key=("doc_id",),
    sort_by=("doc_id",),
)

DUPLICATES = TableSpec(
    "corpus.duplicates",
    _schema(
        (
            ("doc_id", STRING),
            ("url", STRING),
            ("keeper_id", STRING),
            ("kind", STRING),  # url, exact, near or semantic
            ("jaccard", FLOAT),  # true Jaccard of the shingle sets of doc_id and keeper_id
            ("cluster_id", STRING),
            ("text_bytes", LONG),
            # Of semantic copies: cosine of the embeddings, for a copy of a semantic copy that one's.
            ("similarity", FLOAT),
        ),
        required=("doc_id", "keeper_id", "kind", "jaccard", "cluster_id"),
    ),
    key=("doc_id",),
    sort_by=("doc_id",),
)

CONTAMINATION = TableSpec(
    "corpus.contamination",
    _schema(
        (
            ("doc_id", STRING),  # of a candidate that the rules keep
            ("url", STRING),
            ("benchmark", STRING),  # name of the evaluation set
            ("example", LONG),  # its number in the set, from 1
            ("example_id", STRING),  # its own field `id`, where it has one
            ("ngrams", LONG),  # distinct n-grams of the example that stand in the document
            ("share", FLOAT),  # of the example's distinct n-grams
            ("first_ngram", STRING),  # the first of them in the document
        ),
        required=("doc_id", "url", "benchmark", "example", "ngrams", "share", "first_ngram"),
    ),
    key=("doc_id", "benchmark", "example"),
    sort_by=("doc_id", "benchmark", "example"),
)

MIXTURE = TableSpec(
    "corpus.mixture",
    _schema(
        (
            ("doc_id", STRING),  # of corpus.documents
            ("component", STRING),
            ("copies", LONG),  # how often the document is in the mixture
            ("text_bytes", LONG),  # of one copy
        ),
        required=("doc_id", "component", "copies", "text_bytes"),
    ),
    key=("doc_id",),
    sort_by=("doc_id",),
)

MIXTURE_REJECTS = TableSpec(
    "corpus.mixture_rejects",
    _schema(
        (
            ("doc_id", STRING),  # of corpus.documents
            ("component", STRING),  # null where none selects it
            ("reason", STRING),  # no_component, cap or not_sampled
            ("cap", STRING),  # the columns of the cap it is over, such as registered_domain
            ("text_bytes", LONG),
        ),
        required=("doc_id", "reason", "text_bytes"),
    ),
    key=("doc_id",),
    sort_by=("doc_id",),
)

SHARDS = TableSpec(
    "tokens.shards",
    _schema(
        (
            ("shard", STRING),  # tokenization/file name of the tar
            ("split", STRING),  # train, validation or test
            ("path", STRING),
            ("bytes", LONG),
            ("sha256", STRING),  # of the tar
            ("samples", LONG),
            ("rows", LONG),  # contexts
            ("tokens", LONG),  # of documents, their end-of-text tokens included
            ("padding", LONG),  # tokens that fill the last context
            ("documents", LONG),
            ("context_length", INT),
            ("tokenizer_digest", STRING),
            ("corpus_snapshot", LONG),  # snapshot of corpus.documents that the texts are from
        ),
        required=("shard", "split", "path", "bytes", "sha256", "samples", "rows", "tokens"),
    ),
    key=("shard",),
    sort_by=("shard",),
)

TOKEN_DOCUMENTS = TableSpec(
    "tokens.documents",
    _schema(
        (
            ("doc_id", STRING),
            ("copy", INT),  # a mixture may hold a document several times: 0 is the first
            ("part", INT),  # a document that crosses contexts has one part in each
            ("shard", STRING),
            ("split", STRING),
            ("sample", INT),
            ("row", INT),  # within the sample
            ("offset", INT),  # first token within the row
            ("length", INT),  # tokens, the end-of-text token included
            ("unknown", INT),  # of these, tokens that stand for what the vocabulary does not know
        ),
        required=("doc_id", "copy", "part", "shard", "split", "sample", "row", "offset", "length", "unknown"),
    ),
    key=("doc_id", "copy", "part"),
    sort_by=("shard", "sample", "row", "offset"),
)

TOKEN_REJECTS = TableSpec(
    "tokens.rejects",
    _schema((("doc_id", STRING), ("copy", INT), ("reason", STRING)), required=("doc_id", "copy", "reason")),
    key=("doc_id", "copy"),
)

TRAIN_RUNS = TableSpec(
    "train.runs",
    _schema(
        (
            ("run", STRING),
            ("model", STRING),
            ("parameters", LONG),
            ("world_size", INT),
            ("steps", LONG),
            ("tokens", LONG),
            ("seconds", FLOAT),
            ("shards_digest", STRING),  # fingerprint of the shard set
            ("tokenizer_digest", STRING),
            ("export_path", STRING),
            ("config", STRING),  # JSON
        ),
        required=("run", "steps"),
    ),
    key=("run",),
)

TRAIN_STEPS = TableSpec(
    "train.steps",
    _schema(
        (
            ("run", STRING),
            ("step", LONG),
            ("loss", FLOAT),  # nats per token, mean over the global batch
            ("learning_rate", FLOAT),
            ("gradient_norm", FLOAT),
            ("tokens", LONG),
            ("seconds", FLOAT),
            ("data_seconds", FLOAT),  # of which waiting for data
        ),
        required=("run", "step", "loss"),
    ),
    key=("run", "step"),
    sort_by=("run", "step"),
)

TRAIN_BATCHES = TableSpec(
    "train.batches",
    _schema(
        (
            ("run", STRING),
            ("step", LONG),
            ("position", LONG),  # of the row in the global batch
            ("rank", INT),
            ("shard", STRING),
            ("sample", INT),
            ("row", INT),
        ),
        required=("run", "step", "position", "shard", "sample", "row"),
    ),
    key=("run", "step", "position"),
    sort_by=("run", "step", "position"),
)

#: `eval.results.task` of held-out loss: as evaluated afterwards, and as seen while training.
VALIDATION_TASK = "validation"
IN_TRAINING_TASK = "validation_in_training"

EVAL_RESULTS = TableSpec(
    "eval.results",
    _schema(
        (
            ("run", STRING),  # of training
            ("step", LONG),  # of the checkpoint; 0 is the untrained model
            ("task", STRING),
            ("metric", STRING),
            ("value", FLOAT),
            ("samples", LONG),  # examples behind the value
            ("corpus_snapshot", LONG),
        ),
        required=("run", "step", "task", "metric", "value"),
    ),
    key=("run", "step", "task", "metric"),
)

EVAL_SAMPLES = TableSpec(
    "eval.samples",
    _schema(
        (
            ("run", STRING),
            ("step", LONG),
            ("task", STRING),
            ("sample", STRING),  # doc_id of a held-out document, or a task's own id
            ("metric", STRING),
            ("value", FLOAT),
            ("output", STRING),
        ),
        required=("run", "step", "task", "sample", "metric"),
    ),
    key=("run", "step", "task", "sample", "metric"),
)

OPS_RUNS = TableSpec(
    "ops.runs",
    _schema(
        (
            ("run_id", STRING),
            ("stage", STRING),
            ("digest", STRING),  # of inputs and configuration
            ("started_at", INSTANT),
            ("finished_at", INSTANT),
            ("inputs", STRING),  # JSON: what was read, by table snapshot or file digest
            ("config", STRING),  # JSON
            ("version", STRING),  # of Millpond
        ),
        required=("run_id", "stage", "digest"),
    ),
    key=("run_id",),
)

OPS_LEDGER = TableSpec(
    "ops.ledger",
    _schema(
        (
            ("run_id", STRING),
            ("stage", STRING),
            ("unit", STRING),  # records, fetches, documents, bytes or tokens
            ("entry", STRING),  # in, out, rejected, duplicate, removed or transformed
            ("reason", STRING),  # of what did not go on; the step, for transformed
            ("amount", LONG),
        ),
        required=("run_id", "stage", "unit", "entry", "amount"),
    ),
    key=("run_id", "unit", "entry", "reason"),
)

OPS_AUDITS = TableSpec(
    "ops.audits",
    _schema(
        (
            ("run_id", STRING),
            ("table", STRING),
            ("expectation", STRING),
            ("column", STRING),
            ("success", pa.bool_()),
            ("observed", STRING),
            ("threshold", STRING),
        ),
        required=("run_id", "table", "expectation", "success"),
    ),
    key=("run_id", "table", "expectation", "column"),
)

OPS_RELEASES = TableSpec(
    "ops.releases",
    _schema(
        (
            ("release", LONG),  # 1, 2, 3, …
            ("released_at", INSTANT),
            ("run_id", STRING),
            ("stage", STRING),
            ("digest", STRING),  # of the run's inputs and configuration
            ("tables", STRING),  # JSON: table → snapshot id; together they are one state of the lake
        ),
        required=("release", "run_id", "stage", "digest", "tables"),
    ),
    key=("release",),
)

TABLES: dict[str, TableSpec] = {
    spec.name: spec
    for spec in (
        PAGES,
        WEB_REJECTS,
        FRONTIER,
        CANDIDATES,
        DOCUMENTS,
        REJECTS,
        DUPLICATES,
        CONTAMINATION,
        MIXTURE,
        MIXTURE_REJECTS,
        SHARDS,
        TOKEN_DOCUMENTS,
        TOKEN_REJECTS,
        TRAIN_RUNS,
        TRAIN_STEPS,
        TRAIN_BATCHES,
        EVAL_RESULTS,
        EVAL_SAMPLES,
        OPS_RUNS,
        OPS_LEDGER,
        OPS_AUDITS,
        OPS_RELEASES,
    )
}
