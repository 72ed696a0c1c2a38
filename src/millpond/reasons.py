"""Why a row, a byte or a token did not go on: one closed list for every stage.

Rejects, the ledger and its audits all read these names; they are stored, so a name never changes its meaning.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a row, a byte or a token did not go on. Closed: the audits refuse any other value."""

    # ingest: a damaged range, a refused fetch, a record that is no page
    DAMAGED = "damaged"
    NOT_A_PAGE = "not_a_page"
    DUPLICATE_PAGE = "duplicate_page"
    REVISIT = "revisit"  # found again unchanged; the page is in the lake
    REVISIT_UNRESOLVED = "revisit_unresolved"  # the same, of a page that is not
    BODY_ENCODING = "body_encoding"
    TOO_LARGE = "too_large"
    ROBOTS = "robots"
    HTTP_STATUS = "http_status"
    FETCH_FAILED = "fetch_failed"
    REDIRECT = "redirect"
    LIMIT = "limit"
    RESERVED = "reserved"  # its owner reserves it against the training of models
    NOT_MODIFIED = "not_modified"  # fetched again, and as it was
    BAD_ROW = "bad_row"
    # curate: extraction outcomes
    EMPTY = "empty"
    UNSUPPORTED_TYPE = "unsupported_type"
    EXTRACT_ERROR = "extract_error"
    EXTRACT_TIMEOUT = "extract_timeout"
    EXTRACT_MEMORY = "extract_memory"
    EXTRACT_CRASH = "extract_crash"
    # curate: rules
    BLOCKLIST = "blocklist"  # the address stands in a list
    LANGUAGE = "language"
    GOPHER_REPETITION = "gopher_repetition"
    GOPHER_QUALITY = "gopher_quality"
    C4 = "c4"
    FINEWEB = "fineweb"
    REFINEDWEB = "refinedweb"
    CURATOR = "curator"
    PII = "pii"
    FLAGGED_WORDS = "flagged_words"
    UNIGRAMS = "unigrams"
    PERPLEXITY = "perplexity"
    CLASSIFIER = "classifier"
    CONTAMINATED = "contaminated"  # holds text of an evaluation set
    # curate: duplicates, by kind
    URL = "url"
    EXACT = "exact"
    NEAR = "near"
    SEMANTIC = "semantic"
    LINE = "line"  # nothing left but what stands in other documents, or a copy of such a document
    SPAN = "span"  # the same, where runs of words are compared
    # mix: what a mixture leaves out
    NO_COMPONENT = "no_component"
    CAP = "cap"
    NOT_SAMPLED = "not_sampled"
    # tokenize
    NO_TOKENS = "no_tokens"
