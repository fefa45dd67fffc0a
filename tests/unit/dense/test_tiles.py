"""Tiles cover a picture."""

import pytest
import torch

from onepeace_pl.dense.tiles import tiles


@pytest.mark.parametrize(
    ("size", "side", "stride"), [((70, 100), 32, 20), ((32, 32), 32, 32), ((20, 90), 32, 32)]
)
def test_tiles_cover_everything_and_stay_inside(size, side, stride):
    covered = torch.zeros(max(size[0], side), max(size[1], side))
    places = list(tiles(*size, side, stride))
    assert len(places) == len(set(places))
    for top, left in places:
        assert top == 0 or top + side <= size[0]
        assert left == 0 or left + side <= size[1]
        covered[top : top + side, left : left + side] = 1
    assert covered.bool().all()
