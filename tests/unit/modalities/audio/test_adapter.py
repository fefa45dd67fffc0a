import pytest
import torch
import torch.nn.functional as F

from onepeace_pl.modalities import AudioAdapter, ModalityInput, View
from onepeace_pl.modalities.audio.adapter import ConvPositions
from onepeace_pl.nn import TransformerConfig

from ...samples import hide

CONFIG = TransformerConfig(width=32, depth=2, heads=2, feed_forward=64)
FRAMES = {16_000: 49, 80_000: 249, 160_000: 499, 240_000: 749, 400: 1, 719: 1, 720: 2}


def adapter(**options) -> AudioAdapter:
    torch.manual_seed(0)
    return AudioAdapter(CONFIG, channels=16, buckets=16, **options)


@torch.no_grad()
@pytest.mark.parametrize("samples", FRAMES)
def test_fifty_frames_a_second(samples: int) -> None:
    assert adapter().stem(torch.randn(1, samples)).shape == (1, FRAMES[samples], 32)


@torch.no_grad()
def test_a_frame_hears_400_samples() -> None:
    made, wave = adapter(), torch.randn(1, 4000)
    before = made.stem(wave)
    wave[0, 1500] += 5.0
    changed = (made.stem(wave) - before).abs().amax(2)[0] > 0
    expected = [i for i in range(12) if 320 * i <= 1500 < 320 * i + 400]
    assert changed.nonzero().flatten().tolist() == expected


@torch.no_grad()
def test_extractor_in_steps() -> None:
    made, wave = adapter(), torch.randn(2, 2000)
    x = wave[:, None]
    strides = [5, 2, 2, 2, 2, 2, 2]
    for layer, stride, kernel in zip(made.extractor, strides, [10, 3, 3, 3, 3, 2, 2], strict=True):
        convolution, norm, _ = layer
        assert convolution.bias is None
        assert convolution.weight.shape[-1] == kernel
        x = F.conv1d(x, convolution.weight, stride=stride).transpose(1, 2)
        x = F.gelu(F.layer_norm(x, (16,), norm.weight, norm.bias)).transpose(1, 2)
    x = F.layer_norm(x.transpose(1, 2), (16,), made.extractor_norm.weight, made.extractor_norm.bias)
    assert torch.allclose(made.stem(wave), x @ made.project.weight.T + made.project.bias, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("reach", "depth", "kernel"), [(95, 5, 19), (8, 4, 3), (16, 2, 8)])
@pytest.mark.parametrize("pre_norm", [False, True])
def test_positional_convolutions_in_steps(reach: int, depth: int, kernel: int, pre_norm: bool) -> None:
    made = ConvPositions(32, depth, reach, groups=4, pre_norm=pre_norm)
    frames = torch.randn(2, 30, 32)
    x = frames
    if pre_norm:
        x = F.layer_norm(x, (32,), made.pre_norm.weight, made.pre_norm.bias)
    for convolution in made.convolutions:
        assert convolution.weight.shape == (32, 8, kernel)
        padded = F.pad(x.transpose(1, 2), (kernel // 2, (kernel - 1) // 2))
        x = F.conv1d(padded, convolution.weight, convolution.bias, groups=4).transpose(1, 2)
        x = F.gelu(F.layer_norm(x, (32,)))
    assert torch.allclose(made(frames), x, atol=1e-5)


@torch.no_grad()
def test_visible_frames_are_convolved_as_neighbours() -> None:
    made, mask = adapter(), hide("audio", [0])
    wave = torch.randn(1, 400 + 320 * 11)
    (visible,) = made(ModalityInput(wave), [View(mask)])
    frames = made.stem(wave)[:, mask.keep[0, 1:] - 1]
    expected = frames + made.position_convolutions(frames)
    assert torch.allclose(visible.embeddings[:, 1:], expected, atol=1e-5)
    assert torch.allclose(visible.embeddings[:, 0], made.cls_token + made.cls_position[0], atol=1e-6)


@torch.no_grad()
def test_shuffled_frames_have_other_positions() -> None:
    positions = adapter().position_convolutions
    frames = torch.randn(1, 40, 32)
    order = torch.randperm(40)
    assert not torch.allclose(positions(frames[:, order]), positions(frames)[:, order], atol=1e-2)


def test_recomputing_the_extractor_changes_no_number() -> None:
    gradients = []
    for mode in ("none", "full"):
        torch.manual_seed(0)
        config = TransformerConfig(width=32, depth=2, heads=2, feed_forward=64, activation_checkpointing=mode)
        made = AudioAdapter(config, channels=16, buckets=16)
        made(ModalityInput(torch.linspace(-1, 1, 2000)[None]), [View()])[
            0
        ].embeddings.square().sum().backward()
        gradients.append([p.grad for p in made.extractor.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert a.abs().max() > 0
        assert torch.equal(a, b)


def test_groups_that_do_not_divide() -> None:
    with pytest.raises(ValueError, match="width 32 is not a multiple of the 5 groups"):
        adapter(position_groups=5)


def test_start_and_what_has_no_effect() -> None:
    made = adapter()
    weight = made.extractor[3][0].weight
    assert weight.std().item() == pytest.approx((2 / (16 * 3)) ** 0.5, rel=0.1)
    assert made.unused == ("mask_embedding",)
    made(ModalityInput(torch.randn(1, 800)), [View()])[0].embeddings.sum().backward()
    assert made.mask_embedding.grad is None
    assert [n for n, p in made.named_parameters() if p.grad is None] == ["mask_embedding", "bias.tables.0"]
