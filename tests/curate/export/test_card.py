"""What a dataset card says, and that its YAML is YAML."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from huggingface_hub import DatasetCard

from millpond.curate.config import CurateConfig
from millpond.curate.export.card import Facts, card, size_category
from millpond.curate.export.shards import Groups, Written, export_schema
from millpond.lake import Release
from millpond.made import Made


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (99_999, "10K<n<100K"),
        (100_000, "100K<n<1M"),
        (5 * 10**9, "1B<n<10B"),
        (10**11, "100B<n<1T"),
        (10**13, "n>1T"),
    ],
)
def test_sizes_have_the_hub_s_names(rows: int, name: str) -> None:
    assert size_category(rows) == name


def test_odd_names_stay_text() -> None:
    config = CurateConfig.model_validate({"language": {"allowed": ["en"]}, "rules": {"preset": "gopher"}})
    release = Release(7, datetime(2026, 1, 2, tzinfo=UTC), "curate-1", "curate", "0" * 64, {})
    amounts = {("documents", "in", ""): 3, ("documents", "out", ""): 2, ("documents", "rejected", "c4"): 1}
    facts = Facts(
        name='it\'s "a: corpus" # | <b>✓ -  \x7f\u2028😀',
        license="odc-by",
        release=9,
        corpus=Made(release, "0.1.0", {}, config.model_dump(mode="json"), amounts),
        splits=[Written("train", 1, 2, 30, 20)],
        schema=export_schema(mixture=False),
        languages=Groups([("en", 1, 20), ("unknown", 1, 10)], 2),
        domains=Groups([("a|b.test\n# x", 2, 30)], 25),
        mixture=None,
        shares=(),
    )
    read: Any = DatasetCard(card(facts))
    said = read.data.to_dict()
    assert said["pretty_name"] == facts.name and said["license"] == "odc-by"
    assert said["language"] == ["en"] and said["size_categories"] == ["n<1K"]
    assert said["dataset_info"]["splits"] == [{"name": "train", "num_bytes": 30, "num_examples": 2}]
    assert said["dataset_info"]["features"][3] == {"name": "fetched_at", "dtype": "timestamp[us, tz=UTC]"}
    assert "| a\\|b.test \\# x | 2 | 30 |" in read.text and "The largest 1 of 25." in read.text
    assert "| − rejected: c4 | 1 | 0 |" in read.text and "| allowed_language | `language` in en |" in read.text
    assert "run `curate-1` on 2026-01-02" in read.text and "release 9 of the lake" in read.text
