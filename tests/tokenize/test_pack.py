"""Packing conserves: every token is in exactly one place, and the places say which."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from millpond.tokenize.pack import Layout, Packer, places

EOS = 9
LAYOUTS = st.builds(Layout, st.integers(1, 7), st.integers(1, 4), st.integers(1, 3))
DOCUMENTS = st.lists(st.lists(st.integers(0, EOS - 1), min_size=1, max_size=40), max_size=12)


def pack(documents: list[list[int]], layout: Layout) -> tuple[list[np.ndarray], int]:
    packer = Packer(layout, EOS, np.dtype(np.uint16))
    samples = [sample for ids in documents for sample in packer.add(np.array(ids, np.uint16))]
    last = packer.finish()
    return ([*samples, last[0]], last[1]) if last else (samples, 0)


@given(DOCUMENTS, LAYOUTS)
def test_the_stream_is_the_documents_and_filling(documents: list[list[int]], layout: Layout) -> None:
    samples, padding = pack(documents, layout)
    stream = [token for sample in samples for token in sample.ravel().tolist()]
    assert stream == [token for ids in documents for token in (*ids, EOS)] + [EOS] * padding
    assert 0 <= padding < layout.context_length
    assert all(sample.shape == (layout.rows_per_sample, layout.context_length) for sample in samples[:-1])
    assert all(0 < len(sample) <= layout.rows_per_sample for sample in samples)


@given(DOCUMENTS, LAYOUTS)
def test_places_lead_back_to_every_document(documents: list[list[int]], layout: Layout) -> None:
    samples, _ = pack(documents, layout)
    where = places(np.array([len(ids) + 1 for ids in documents], np.int64), layout)
    found: list[list[int]] = [[] for _ in documents]
    parts = [0] * len(documents)
    for n, document in enumerate(where.document.tolist()):
        assert where.part[n] == parts[document] and where.length[n] > 0
        parts[document] += 1
        sample = samples[where.shard[n] * layout.samples_per_shard + where.sample[n]]
        assert where.sample[n] < layout.samples_per_shard
        row = sample[where.row[n]]
        taken = row[where.offset[n] : where.offset[n] + where.length[n]]
        assert len(taken) == where.length[n]  # a part never leaves its row
        found[document] += taken.tolist()
    assert found == [[*ids, EOS] for ids in documents]


def test_one_long_document_fills_many_samples() -> None:
    samples, padding = pack([[1] * 1000], Layout(8, 2, 5))
    assert len(samples) == 63 and padding == 7 and sum(s.size for s in samples) == 1008
