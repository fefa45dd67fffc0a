"""Buckets of relative positions, and both kinds of position tables on other grids, against the original's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from onepeace_pl.nn import GridBuckets, SequenceBuckets, enlarge_relative_table, resize_positions

from .files import record, tensors


def matching(keys: Iterable[str], pattern: str) -> list[tuple[str, ...]]:
    """Groups of every key that fits; there must be some."""
    found = [match.groups() for key in keys if (match := re.fullmatch(pattern, key))]
    assert found, pattern
    return found


def test_buckets_of_sequences(golden: Path) -> None:
    stored, records = tensors(golden, "buckets"), record(golden, "buckets")
    for (buckets,) in matching(records, r"token\.(\d+)"):
        known = records[f"token.{buckets}"]
        made = SequenceBuckets(int(buckets))
        length = known["shape"][0]
        index = made.index(length)
        assert made.rows == known["rows_in_bias_table"]
        assert list(index.shape) == known["shape"]
        corner = stored[f"token.{buckets}.corner"].long()
        assert torch.equal(index[: len(corner), : len(corner)], corner)
        by_offset = stored[f"token.{buckets}.by_offset"].long()  # from 1 - length on
        assert torch.equal(index[1:, 1], by_offset[length - 1 : -1])
        assert torch.equal(index[1, 1:], by_offset[1:length].flip(0))
        assert digest(index) == known["sha256_of_int64_le_bytes"], buckets


def test_buckets_of_grids(golden: Path) -> None:
    records, stored = record(golden, "buckets"), tensors(golden, "buckets")
    for (side,) in matching(records, r"image\.(\d+)"):
        known = records[f"image.{side}"]
        made = GridBuckets(int(side))
        index = made.index(int(side) ** 2 + 1)
        assert made.rows == known["rows_in_bias_table"]
        assert list(index.shape) == known["shape"]
        table = stored.get(f"image.{side}.table")
        assert table is None or torch.equal(index, table.long())
        assert digest(index) == known["sha256_of_int64_le_bytes"], side


def digest(index: Tensor) -> str:
    return hashlib.sha256(index.numpy().astype("<i8").tobytes()).hexdigest()


def test_relative_tables_on_larger_grids(golden: Path) -> None:
    stored = tensors(golden, "interpolation")
    for small, large in matching(stored, r"rel\.(\d+)to(\d+)\.in"):
        given, expected = (stored[f"rel.{small}to{large}.{end}"] for end in ("in", "out"))
        cls = torch.arange(3.0 * given.shape[1]).reshape(3, -1)
        found = enlarge_relative_table(torch.cat([given, cls]), int(large))
        torch.testing.assert_close(found[:-3], expected, rtol=1e-5, atol=1e-6)
        assert torch.equal(found[-3:], cls)


def test_absolute_positions_on_other_grids(golden: Path) -> None:
    table = tensors(golden, "pretrain_state")["encoder_wrapper.image_adapter.pos_embed"]
    stored = tensors(golden, "interpolation")
    for (side,) in matching(stored, r"pos_embed_at_forward\.(\d+)"):
        expected = stored[f"pos_embed_at_forward.{side}"]
        torch.testing.assert_close(resize_positions(table, int(side)), expected, rtol=1e-5, atol=1e-6)
