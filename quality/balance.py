"""The ledger, counted again: SQL over the staged files that shares no code with the stages.

Views: `new_…` is what the run wrote of a table, `in_…` what it read, `held_…` (of candidates) all it holds with that.
For each stage the queries below give `(reason, amount)` from the data itself; they must agree with the run's
ledger line by line, every unit must balance, and every row that came in must be found exactly once among
what went on and what did not. A row missing from any table shows up here as a number, and nothing is published.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from millpond.duck import connect, scan
from millpond.errors import LedgerError
from millpond.publish import Batch
from millpond.schemas import CANDIDATES, PAGES, TABLES


@dataclass(frozen=True)
class Recount:
    """One entry of a stage's ledger, counted from the data."""

    unit: str
    entry: str
    sql: str


def _bytes(column: str) -> str:
    return f"coalesce(sum({column}), 0)"


#: Rows of every table but the runs' own, as (name, n).
_COUNTS = {
    prefix: " union all ".join(
        f"select '{table}' as name, count(*) as n from {prefix}_{table.replace('.', '_')}"
        for table in TABLES
        if not table.startswith("ops.")
    )
    for prefix in ("in", "new")
}

#: What a tokenization accounts for: the copies of its mixture or, where it read none, the documents of the corpus.
_TOKENIZED = """
    select doc_id, unnest(range(copies)) as copy from in_corpus_mixture
    union all select doc_id, 0 from in_corpus_documents where not exists (from in_corpus_mixture)
"""

RECOUNTS: dict[str, tuple[Recount, ...]] = {
    "ingest": (
        Recount("records", "out", "select null, count(*) from new_web_pages"),
        Recount("records", "rejected", "select reason, sum(records) from new_web_rejects group by 1"),
        Recount("bytes", "out", f"select null, {_bytes('source_length')} from new_web_pages"),
        Recount("bytes", "rejected", f"select reason, {_bytes('length')} from new_web_rejects group by 1"),
        Recount("fetches", "out", "select null, count(*) from new_web_frontier where verdict = 'page'"),
        Recount(
            "fetches",
            "rejected",
            "select verdict, count(*) from new_web_frontier "
            "where state in ('fetched', 'refused', 'failed') and verdict <> 'page' group by 1",
        ),
        Recount("fetches", "removed", "select 'deferred', count(*) from new_web_frontier where verdict = 'deferred'"),
    ),
    "curate": (
        Recount("documents", "in", "select null, count(*) from came"),
        Recount("documents", "out", "select null, count(*) from new_corpus_documents"),
        Recount("documents", "rejected", "select reason, count(*) from new_corpus_rejects group by 1"),
        Recount("documents", "duplicate", "select kind, count(*) from new_corpus_duplicates group by 1"),
        Recount("bytes", "in", f"select null, {_bytes('size')} from came"),
        Recount("bytes", "out", f"select null, {_bytes('strlen(text)')} from new_corpus_documents"),
        Recount(
            "bytes",
            "removed",
            "select reason, sum(text_bytes) from (select reason, text_bytes from new_corpus_rejects "
            "union all select kind, text_bytes from new_corpus_duplicates) group by 1 having sum(text_bytes) <> 0",
        ),
        Recount(
            "bytes",
            "transformed",
            "select 'decode', sum(body_bytes - decoded_bytes) from held_corpus_candidates "
            "union all select 'extract', sum(decoded_bytes - extracted_bytes) from held_corpus_candidates "
            "union all select 'normalise', sum(extracted_bytes - normalised_bytes) from held_corpus_candidates "
            "union all select 'line_rules', sum(normalised_bytes - cleaned_bytes) from held_corpus_candidates "
            "union all select 'mask', sum(cleaned_bytes - text_bytes) from held_corpus_candidates "
            "union all select 'repeated_text', sum(c.text_bytes - strlen(d.text)) "
            "from new_corpus_documents d join held_corpus_candidates c using (doc_id)",
        ),
    ),
    "mix": (
        Recount("documents", "in", "select null, count(*) from in_corpus_documents"),
        Recount("documents", "out", "select null, count(*) from new_corpus_mixture"),
        Recount("documents", "rejected", "select reason, count(*) from new_corpus_mixture_rejects group by 1"),
        Recount("bytes", "in", f"select null, {_bytes('text_bytes')} from in_corpus_documents"),
        Recount("bytes", "out", f"select null, {_bytes('copies * text_bytes')} from new_corpus_mixture"),
        Recount("bytes", "removed", "select reason, sum(text_bytes) from new_corpus_mixture_rejects group by 1"),
        Recount("bytes", "transformed", "select 'repeat', sum((1 - copies) * text_bytes) from new_corpus_mixture"),
    ),
    "tokenize": (
        Recount("documents", "in", f"select null, count(*) from ({_TOKENIZED})"),
        Recount("documents", "out", "select null, count(distinct (doc_id, copy)) from new_tokens_documents"),
        Recount("documents", "rejected", "select reason, count(*) from new_tokens_rejects group by 1"),
        Recount("tokens", "in", f"select null, {_bytes('length')} from new_tokens_documents"),
        Recount("tokens", "out", f"select null, {_bytes('tokens')} from new_tokens_shards"),
    ),
    "compact": (
        Recount("records", "in", f"select null, sum(n) from ({_COUNTS['in']})"),
        Recount("records", "out", f"select null, sum(n) from ({_COUNTS['new']})"),
    ),
    "train": (Recount("records", "out", "select null, count(*) from new_train_batches"),),
    "eval": (),
}

#: What a curation run accounts for: the pages it read or, where it only decided again, the candidates it read.
_CAME = {
    True: "select page_id, octet_length(body) as size from in_web_pages",
    False: "select doc_id as page_id, body_bytes as size from in_corpus_candidates",
}

#: Queries that must return no row; each row is a sentence.
CONSERVED: dict[str, tuple[str, ...]] = {
    "ingest": (
        """
        with decided as (
            select url, if(verdict = 'page', 'page', 'reject') as kind from new_web_frontier
            where state in ('fetched', 'refused', 'failed')
        ), gone as (
            select url, 'page' as kind from new_web_pages
            union all select url, 'reject' from new_web_rejects where url is not null
        )
        select 'address ' || url || ' is a ' || kind || ' ' || coalesce(d.n, 0) || ' times in the frontier, and '
            || coalesce(g.n, 0) || ' times among pages and rejects'
        from (select url, kind, count(*) as n from decided group by all) d
        full join (select url, kind, count(*) as n from gone group by all) g using (url, kind)
        where (d.n is distinct from g.n or d.n <> 1) and (select count(*) from new_web_frontier) > 0
        """,
    ),
    "curate": (
        """
        with gone as (
            select doc_id from new_corpus_documents union all select doc_id from new_corpus_rejects
            union all select doc_id from new_corpus_duplicates
        )
        select 'page ' || coalesce(page_id, doc_id) || ' is found ' || count(doc_id) || ' times among documents, '
            || 'rejects and duplicates, and ' || count(distinct page_id) || ' times among the pages'
        from came full join gone on page_id = doc_id
        group by page_id, doc_id having count(doc_id) <> 1 or count(distinct page_id) <> 1
        """,
        """
        select 'page ' || coalesce(page_id, doc_id) || case when doc_id is null then ' has no candidate'
            else ' has a candidate, and is none of those that were read' end
        from came full join held_corpus_candidates on page_id = doc_id where page_id is null or doc_id is null
        """,
        """
        select 'duplicate ' || d.doc_id || ' names a keeper that is not kept: ' || d.keeper_id
        from new_corpus_duplicates d anti join new_corpus_documents k on d.keeper_id = k.doc_id
        """,
        """
        select 'reject ' || doc_id || ' is said to hold an example, and none is named' from new_corpus_rejects
        anti join new_corpus_contamination using (doc_id) where reason = 'contaminated'
        """,
        """
        select 'contamination of ' || doc_id || ', which is no candidate with text' from new_corpus_contamination
        anti join (select doc_id from held_corpus_candidates where outcome = 'ok') using (doc_id)
        """,
    ),
    "mix": (
        """
        with named as (
            select doc_id, text_bytes from new_corpus_mixture
            union all select doc_id, text_bytes from new_corpus_mixture_rejects
        )
        select 'document ' || coalesce(d.doc_id, n.doc_id) || ' is named ' || count(n.doc_id)
            || ' times by the mixture or as left out, and ' || count(distinct d.doc_id) || ' times in the corpus'
        from in_corpus_documents d full join named n using (doc_id)
        group by d.doc_id, n.doc_id having count(n.doc_id) <> 1 or count(distinct d.doc_id) <> 1
            or min(n.text_bytes) <> min(d.text_bytes)
        """,
    ),
    "compact": (
        f"""
        select 'table ' || name || ' had ' || i.n || ' rows and has ' || o.n
        from ({_COUNTS["in"]}) i join ({_COUNTS["new"]}) o using (name) where i.n <> o.n
        """,
    ),
    "train": (
        """
        select 'run ' || r.run || ' has ' || r.steps || ' steps, and train.steps ' || count(s.step)
        from new_train_runs r left join new_train_steps s using (run)
        group by r.run, r.steps having r.steps <> count(s.step)
        """,
    ),
    "tokenize": (
        f"""
        select 'document ' || doc_id || ' has neither tokens nor a reason' from ({_TOKENIZED})
        anti join (
            select doc_id, copy from new_tokens_documents union all select doc_id, copy from new_tokens_rejects
        ) using (doc_id, copy)
        """,
        """
        select 'shard ' || shard || ' holds ' || s.tokens || ' tokens, its documents ' || coalesce(sum(d.length), 0)
        from new_tokens_shards s left join new_tokens_documents d using (shard)
        group by shard, s.tokens having s.tokens <> coalesce(sum(d.length), 0)
        """,
    ),
}


def check(batch: Batch) -> int:
    """Count everything again; returns the number of ledger lines compared.

    Raises:
        LedgerError: a line differs from the data, a unit does not balance, or a row is nowhere or twice.
    """
    with connect() as connection:
        for table in TABLES:
            _view(connection, "new", table, batch.new.get(table, []))
            _view(connection, "in", table, batch.inputs.get(table, []))
        _view(connection, "held", CANDIDATES.name, batch.held(CANDIDATES.name))
        connection.execute(f"create view came as {_CAME[PAGES.name in batch.inputs]}")
        problems = _unbalanced(connection) + _different(connection, batch.stage)
        for query in CONSERVED.get(batch.stage, ()):
            problems += [str(row[0]) for row in connection.execute(f"{query} order by 1 limit 3").fetchall()]
        lines = connection.execute("select count(*) from new_ops_ledger").fetchone()
    if problems:
        raise LedgerError(f"{batch.stage}: the ledger does not balance: {'; '.join(problems[:3])}")
    return int(lines[0]) if lines else 0


def _view(connection: duckdb.DuckDBPyConnection, prefix: str, table: str, files: list[str]) -> None:
    name = f"{prefix}_{table.replace('.', '_')}"
    if files:
        connection.execute(f"create view {name} as select * from {scan(files)}")
    else:
        empty = TABLES[table].schema.empty_table()
        connection.from_arrow(empty).create(name)


def _unbalanced(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute("""
        select unit, sum(case when entry = 'in' then amount else 0 end) as came,
            sum(case when entry = 'in' then 0 else amount end) as rest
        from new_ops_ledger group by unit having came <> rest order by unit
    """).fetchall()
    return [f"{unit}: in {came:,} but accounted for {rest:,}" for unit, came, rest in rows]


def _different(connection: duckdb.DuckDBPyConnection, stage: str) -> list[str]:
    problems = []
    for recount in RECOUNTS[stage]:
        rows = connection.execute(
            f"""
            with data(reason, amount) as ({recount.sql}), lines as (
                select reason, amount from new_ops_ledger where unit = ? and entry = ?
            )
            select coalesce(lines.reason, data.reason), coalesce(lines.amount, 0), coalesce(data.amount, 0)
            from lines full join data on lines.reason is not distinct from data.reason
            where coalesce(lines.amount, 0) <> coalesce(data.amount, 0) order by 1
            """,
            [recount.unit, recount.entry],
        ).fetchall()
        problems += [
            f"{recount.unit} {recount.entry} {reason or ''}: ledger {said:,}, data {found:,}".replace(" :", ":")
            for reason, said, found in rows
        ]
    return problems
