import pytest
import torch

from onepeace_pl.tasks.segmentation import Inference
from onepeace_pl.tasks.segmentation.inference import pixel_counts


def by_place(pictures):
    """Scores that depend on each pixel alone."""
    return torch.cat([pictures, 2 * pictures[:, :1]], 1)


@pytest.mark.parametrize("way", [Inference(), Inference(tile=64, stride=40), Inference(tile=64)])
@pytest.mark.parametrize("size", [(70, 100), (40, 64)])
def test_what_looks_at_pixels_alone_is_the_same_however_it_is_cut(way, size):
    pictures = torch.randn(2, 3, *size)
    assert torch.allclose(way(by_place, pictures), by_place(pictures), atol=1e-6)


def test_several_looks_give_mean_probabilities():
    pictures = torch.randn(1, 3, 64, 64)
    found = Inference(flip=True)(by_place, pictures)
    assert torch.allclose(found, by_place(pictures).softmax(1), atol=1e-6)
    seen = []
    Inference(scales=(0.5, 1.0, 2.0))(lambda p: seen.append(p.shape[-1]) or by_place(p), pictures)
    assert seen == [32, 64, 128]


def test_pixel_counts():
    found = torch.tensor([[0, 1, 1], [2, 2, 0]])
    mask = torch.tensor([[0, 1, 2], [2, 255, 255]])
    right, said, labelled = pixel_counts(found, mask, 4)
    assert right.tolist() == [1, 1, 1, 0]
    assert said.tolist() == [1, 2, 1, 0]
    assert labelled.tolist() == [1, 1, 2, 0]


def test_bad_options():
    with pytest.raises(ValueError, match="tile=40 must be a multiple of 32"):
        Inference(tile=40)
    with pytest.raises(ValueError, match="stride=80 must be at most"):
        Inference(tile=64, stride=80)
    with pytest.raises(ValueError, match="one or more numbers above 0"):
        Inference(scales=())
