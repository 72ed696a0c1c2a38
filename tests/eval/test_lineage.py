from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from millpond.errors import InputError
from millpond.eval.lineage import trace, trace_step
from millpond.eval.sql import TableFiles, connect

Rows = dict[str, list[dict[str, Any]]]
Make = Callable[[Rows], TableFiles]


def test_a_row_is_traced_to_the_bytes_of_its_pages(make_lake: Make, story: Rows) -> None:
    with connect(make_lake(story)) as connection:
        sources = trace(connection, "train-00000.tar", 1, 3)
    pages = {page["page_id"]: page for page in story["web.pages"]}
    place = 0
    for source in sources:
        page = pages[source.doc_id]
        assert (source.url, source.source_file, source.source_offset) == (
            page["url"],
            page["source_file"],
            page["source_offset"],
        )
        assert source.offset == place  # pieces lie end to end
        place += source.length
    assert place == 1024


def test_a_forgotten_document_still_accounts_for_its_tokens(make_lake: Make, story: Rows) -> None:
    gone = story["tokens.documents"][0]["doc_id"]
    kept = {
        **story,
        "corpus.documents": [row for row in story["corpus.documents"] if row["doc_id"] != gone],
        "web.pages": [row for row in story["web.pages"] if row["page_id"] != gone],
    }
    with connect(make_lake(kept)) as connection:
        sources = trace(connection, story["tokens.documents"][0]["shard"], 0, 0)
    assert [source.url for source in sources if source.doc_id == gone] == [None]


def test_a_step_is_traced_through_its_batch(make_lake: Make, story: Rows) -> None:
    with connect(make_lake(story)) as connection:
        sources = trace_step(connection, "run-train", 3)
        rows = {(item.shard, item.sample, item.row) for item in sources}
        assert rows == {("train-00000.tar", 0, 4), ("train-00000.tar", 0, 5)}
        assert [item.source for item in sources if item.position == 1] == trace(connection, "train-00000.tar", 0, 5)
    assert [item.position for item in sources] == sorted(item.position for item in sources)


def test_what_is_not_there_is_said_with_what_is(make_lake: Make, story: Rows) -> None:
    with connect(make_lake(story)) as connection:
        with pytest.raises(InputError, match=r"'train-00000.tar', sample 999, row 0: .*the shard has \d+ samples"):
            trace(connection, "train-00000.tar", 999, 0)
        with pytest.raises(InputError, match=r"SELECT shard FROM tokens\.shards"):
            trace(connection, "x.tar", 0, 0)
        with pytest.raises(InputError, match=r"step 99: no batch in the lake; its steps go from 1 to 4"):
            trace_step(connection, "run-train", 99)
        with pytest.raises(InputError, match=r"SELECT run FROM train\.runs"):
            trace_step(connection, "other", 1)
