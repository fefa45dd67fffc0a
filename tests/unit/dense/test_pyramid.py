import pytest
import torch

from onepeace_pl.backbone import from_preset
from onepeace_pl.dense import BlockFeaturePyramid, SimpleFeaturePyramid
from onepeace_pl.dense.pyramid import rescale_layers

SIZES = [
    ((64, 96), [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]),
    ((48, 80), [(12, 20), (6, 10), (3, 5), (2, 3), (1, 2)]),
]


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return from_preset("debug", ("image",), decoder=False)


@pytest.mark.parametrize(("size", "expected"), SIZES)
def test_maps_of_the_last_block(size, expected, encoder):
    pyramid = SimpleFeaturePyramid(encoder.config, 8, window_size=2, global_blocks=[1], rel_pos_size=4)
    maps = pyramid(encoder.encoder, torch.randn(2, 3, *size))
    assert [tuple(m.shape) for m in maps] == [(2, 8, *grid) for grid in expected]
    assert pyramid.channels == [8] * 5
    assert torch.equal(maps[4], maps[3][:, :, ::2, ::2])
    sum(m.square().sum() for m in maps).backward()
    assert all(p.grad is not None and p.grad.any() for p in pyramid.levels.parameters())


@pytest.mark.parametrize(("size", "expected"), SIZES)
def test_maps_of_four_blocks(size, expected, encoder):
    encoder = from_preset("tiny", ("image",), decoder=False)
    pyramid = BlockFeaturePyramid(encoder.config)
    assert pyramid.out_indices == (0, 1, 2, 2)
    maps = pyramid(encoder.encoder, torch.randn(2, 3, *size))
    assert [tuple(m.shape) for m in maps] == [
        (2, channels, *grid) for channels, grid in zip(pyramid.channels, expected[:4], strict=True)
    ]


def test_bad_options(encoder):
    with pytest.raises(ValueError, match=r"scales 4, 2, 1 and 0\.5, not 8"):
        rescale_layers(32, 8)
    with pytest.raises(
        ValueError, match=r"out_indices \[0, 1, 1, 0\]: give four of the numbers 0 to 1, ascending"
    ):
        BlockFeaturePyramid(encoder.config, [0, 1, 1, 0])
