import pytest
import torch

from onepeace_pl.dense.pyramid import SimplePyramid, rescaling


@pytest.mark.parametrize(
    ("grid", "sizes"),
    [
        ((4, 6), [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]),
        ((3, 5), [(12, 20), (6, 10), (3, 5), (2, 3), (1, 2)]),
    ],
)
def test_sizes_and_gradients(grid, sizes):
    pyramid = SimplePyramid(32, 8)
    maps = pyramid(torch.randn(2, 32, *grid))
    assert [tuple(m.shape) for m in maps] == [(2, 8, *size) for size in sizes]
    assert torch.equal(maps[4], maps[3][:, :, ::2, ::2])
    sum(m.square().sum() for m in maps).backward()
    assert all(p.grad is not None and p.grad.any() for p in pyramid.parameters())


def test_a_scale_that_is_not_there():
    with pytest.raises(ValueError, match=r"scales 4, 2, 1 and 0\.5, not 8"):
        rescaling(32, 8)
