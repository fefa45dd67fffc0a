import math

import pytest
import torch

from onepeace_pl.nn.deformable import deformable_attention

SHAPES = [(3, 5), (2, 2)]


def inputs(dtype=torch.float64, queries=4, heads=2, channels=3, points=2):
    generator = torch.Generator().manual_seed(0)
    cells = sum(height * width for height, width in SHAPES)
    values = torch.randn(2, cells, heads, channels, generator=generator, dtype=torch.float64)
    size = (2, queries, heads, len(SHAPES), points)
    places = torch.rand(*size, 2, generator=generator, dtype=torch.float64) * 1.4 - 0.2  # some lie outside
    weights = torch.rand(*size, generator=generator, dtype=torch.float64)
    return [tensor.to(dtype) for tensor in (values, places, weights)]


def between(image, x, y):
    """Value of a map (height, width, channels) at a place, its cells' middles at halves; zero outside."""
    left, top = math.floor(x - 0.5), math.floor(y - 0.5)
    total = torch.zeros(image.shape[2], dtype=image.dtype)
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                share = (1 - abs(x - 0.5 - column)) * (1 - abs(y - 0.5 - row))
                total += share * image[row, column]
    return total


def slow(values, places, weights):
    batch, queries, heads, _, points = weights.shape
    result = torch.zeros(batch, queries, heads, values.shape[3], dtype=values.dtype)
    for b in range(batch):
        for q in range(queries):
            for h in range(heads):
                start = 0
                for level, (height, width) in enumerate(SHAPES):
                    image = values[b, start : start + height * width, h].view(height, width, -1)
                    start += height * width
                    for point in range(points):
                        x, y = places[b, q, h, level, point].tolist()
                        result[b, q, h] += weights[b, q, h, level, point] * between(
                            image, x * width, y * height
                        )
    return result.flatten(2)


def test_is_its_definition():
    given = inputs()
    assert torch.allclose(deformable_attention(given[0], SHAPES, *given[1:]), slow(*given), atol=1e-12)


def test_gradients():
    given = [tensor.requires_grad_() for tensor in inputs(queries=2, channels=2)]
    assert torch.autograd.gradcheck(lambda v, p, w: deformable_attention(v, SHAPES, p, w), given)


@pytest.mark.parametrize("autocast", [False, True])
def test_places_stay_exact_where_values_are_rounded(autocast):
    values, places, weights = inputs(torch.float32)
    expected = deformable_attention(values, SHAPES, places, weights)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = deformable_attention(values.bfloat16(), SHAPES, places, weights)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), expected, atol=3e-2)


def test_no_queries():
    given = inputs(queries=0)
    assert deformable_attention(given[0], SHAPES, *given[1:]).shape == (2, 0, 6)


def test_maps_that_do_not_fit():
    values, places, weights = inputs()
    with pytest.raises(ValueError, match="add up to 19 values"):
        deformable_attention(values, [(3, 5), (2, 3)], places, weights)
