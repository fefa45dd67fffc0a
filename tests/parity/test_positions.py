"""Buckets of relative positions, and both kinds of position tables on other grids, against the original's."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from onepeace_pl.nn import GridBuckets, SequenceBuckets, enlarge_relative_table, resize_positions

LENGTH = 1024


@pytest.mark.parametrize("buckets", [16, 64, 256, 512])
def test_buckets_of_sequences(buckets: int, golden: Path) -> None:
    known = json.loads((golden / "buckets.json").read_text())[f"token.{buckets}"]
    stored = load_file(golden / "buckets.safetensors")
    made = SequenceBuckets(buckets)
    index = made.index(LENGTH)
    assert made.rows == known["rows_in_bias_table"]
    assert list(index.shape) == known["shape"]
    assert torch.equal(index[:48, :48], stored[f"token.{buckets}.corner"].long())
    by_offset = stored[f"token.{buckets}.by_offset"].long()  # from -1023 on
    assert torch.equal(index[1:, 1], by_offset[LENGTH - 1 : -1])
    assert torch.equal(index[1, 1:], by_offset[1:LENGTH].flip(0))
    assert (
        hashlib.sha256(index.numpy().astype("<i8").tobytes()).hexdigest() == known["sha256_of_int64_le_bytes"]
    )


@pytest.mark.parametrize("side", [4, 6, 7, 16, 24])
def test_buckets_of_grids(side: int, golden: Path) -> None:
    known = json.loads((golden / "buckets.json").read_text())[f"image.{side}"]
    made = GridBuckets(side)
    index = made.index(side * side + 1)
    assert made.rows == known["rows_in_bias_table"]
    assert list(index.shape) == known["shape"]
    stored = load_file(golden / "buckets.safetensors").get(f"image.{side}.table")
    assert stored is None or torch.equal(index, stored.long())
    assert (
        hashlib.sha256(index.numpy().astype("<i8").tobytes()).hexdigest() == known["sha256_of_int64_le_bytes"]
    )


@pytest.mark.parametrize(("small", "large"), [(4, 7), (16, 24), (16, 28), (16, 32)])
def test_relative_tables_on_larger_grids(small: int, large: int, golden: Path) -> None:
    stored = load_file(golden / "interpolation.safetensors")
    given, expected = (stored[f"rel.{small}to{large}.{end}"] for end in ("in", "out"))
    summary = torch.arange(9.0).reshape(3, 3)
    found = enlarge_relative_table(torch.cat([given, summary]), large)
    torch.testing.assert_close(found[:-3], expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(found[-3:], summary)


@pytest.mark.parametrize("side", [2, 5, 9])
def test_absolute_positions_on_other_grids(side: int, golden: Path) -> None:
    table = load_file(golden / "pretrain_state.safetensors")["encoder_wrapper.image_adapter.pos_embed"]
    expected = load_file(golden / "interpolation.safetensors")[f"pos_embed_at_forward.{side}"]
    torch.testing.assert_close(resize_positions(table, side), expected, rtol=1e-5, atol=1e-6)
