import pytest
import torch
import torch.nn.functional as F

from onepeace_pl.modalities import ImageAdapter, ModalityInput, View
from onepeace_pl.modalities.image.adapter import PatchConv
from onepeace_pl.nn import TransformerConfig

CONFIG = TransformerConfig(width=32, depth=2, heads=2, feed_forward=64)


@pytest.mark.parametrize("stem", ["hmlp", "linear"])
def test_patches_never_interact_and_come_row_by_row(stem: str) -> None:
    adapter = ImageAdapter(CONFIG, image_size=64, position_side=4, patch_stem=stem)
    pixels = torch.randn(2, 3, 64, 64)
    before = adapter.stem(pixels)
    assert before.shape == (2, 16, 32)
    row, column = 2, 1
    pixels[:, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] += 1.0
    changed = (adapter.stem(pixels) - before).abs().amax((0, 2)) > 1e-6
    assert changed.nonzero().flatten().tolist() == [4 * row + column]


def test_linear_stem_is_one_product_without_bias() -> None:
    adapter = ImageAdapter(CONFIG, image_size=32, position_side=2, patch_stem="linear")
    assert isinstance(adapter.patches, PatchConv)
    assert adapter.patches.bias is None
    pixels = torch.randn(1, 3, 32, 32)
    flat = F.unfold(pixels, 16, stride=16).transpose(1, 2)
    expected = flat @ adapter.patches.weight.flatten(1).T
    assert torch.allclose(adapter.stem(pixels), expected, atol=1e-5)


def test_hierarchical_stem_in_steps() -> None:
    adapter = ImageAdapter(CONFIG, image_size=32, position_side=2)
    pixels, layers = torch.randn(2, 3, 32, 32), list(adapter.patches)
    x = pixels
    for place, layer in enumerate(layers):
        if place in (1, 4):  # LayerNorm over channels at each place
            mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0)
            x = (x - mean) / (variance + 1e-5).sqrt()
        else:
            x = F.gelu(x) if place in (2, 5) else F.conv2d(x, layer.weight, layer.bias, stride=layer.stride)
    assert torch.allclose(adapter.stem(pixels), x.flatten(2).transpose(1, 2), atol=1e-5)
    assert [layer.weight.shape[:2] for layer in layers[::3]] == [(8, 3), (8, 8), (32, 8)]
    assert not any(layer.bias.any() for layer in layers[::3])


def test_positions_of_another_grid_are_resized_and_that_of_cls_is_not() -> None:
    adapter = ImageAdapter(CONFIG, image_size=96, position_side=4)
    assert adapter.position_table.shape == (17, 32)
    (positions,) = adapter.positions(torch.zeros(1, 37, 32), None)
    grid = adapter.position_table[1:].view(1, 4, 4, 32).permute(0, 3, 1, 2)
    expected = F.interpolate(grid, size=(6, 6), mode="bicubic", align_corners=False)
    assert torch.allclose(positions[1:], expected.flatten(2)[0].T, atol=1e-6)
    assert torch.equal(positions[0], adapter.position_table[0])
    keep = torch.tensor([[0, 3, 36]])
    assert torch.equal(adapter.positions(torch.zeros(1, 3, 32), keep)[0], positions[keep[0]])


def test_positions_follow_the_picture_where_no_side_is_said() -> None:
    adapter = ImageAdapter(CONFIG, image_size=96, position_side=0)
    assert adapter.position_side == 6
    assert (adapter.decoder_grid, adapter.decoder_positions, len(adapter.position_table)) == (6, 37, 37)
    assert torch.equal(adapter.positions(torch.zeros(1, 37, 32), None)[0], adapter.position_table)


def test_larger_tables_on_loading() -> None:
    small, large = (ImageAdapter(CONFIG, image_size=size, position_side=0) for size in (64, 96))
    with torch.no_grad():
        small.bias.tables[0].normal_()
    adapted = large.adapt(small.state_dict())
    large.load_state_dict(adapted)
    assert torch.equal(large.bias.tables[0][-3:], small.bias.tables[0][-3:])
    old, new = (a.bias.tables[0][:-3].view(side, side, 2) for a, side in ((small, 7), (large, 11)))
    assert torch.allclose(new[5, 5], old[3, 3], atol=1e-5)  # offset zero
    assert torch.allclose(new[0, 0], old[0, 0], atol=1e-4)  # the farthest stays the farthest
    assert torch.equal(adapted["position_table"][0], small.position_table[0])
    with pytest.raises(ValueError, match="for 6 patches a side cannot shrink to 4; use a larger size"):
        small.adapt(large.state_dict())


@pytest.mark.parametrize("size", [60, 0, -16])
def test_impossible_sizes(size: int) -> None:
    with pytest.raises(ValueError, match=f"image_size {size} is not a multiple of 16 pixels"):
        ImageAdapter(CONFIG, image_size=size)


def test_unknown_stem() -> None:
    with pytest.raises(ValueError, match="no patch_stem 'mlp'; there are hmlp, linear"):
        ImageAdapter(CONFIG, patch_stem="mlp")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(32, 64), (64, 32), (96, 96)])
def test_pictures_of_another_size(shape: tuple[int, int]) -> None:
    adapter = ImageAdapter(CONFIG, image_size=64)
    with pytest.raises(ValueError, match=f"images of {shape[0]} x {shape[1]} pixels for a model of 64 x 64"):
        adapter(ModalityInput(torch.zeros(1, 3, *shape)), [View()])
