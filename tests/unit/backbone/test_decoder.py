"""Masked passes: what a student sees, where it is restored, and what padding does to it."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone, DecoderConfig, Features, ForwardPass, TransformerConfig
from onepeace_pl.modalities import Mask, ModalityInput
from onepeace_pl.modalities.masking import build_mask

from ..samples import ADAPTERS, Touch, fields, hide, make, real

SUBSETS = [("text",), ("image",), ("touch",), ("text", "image"), ("touch", "text", "image")]
Subset = tuple[str, ...]


def student(backbone: Backbone, subset: Subset, inputs: dict[str, ModalityInput], masks: dict[str, Mask]):
    features: Features = backbone(inputs, [ForwardPass(subset, masks)])[0][0]
    return features


def masks_of(subset: Subset, rows: tuple[int, ...] = (0, 1, 2)) -> dict[str, Mask]:
    return {name: hide(name, rows) for name in subset}


def close(a: Tensor, b: Tensor) -> None:
    assert a.shape == b.shape
    assert (a - b).abs().max().item() <= 2e-5


@torch.no_grad()
@pytest.mark.parametrize("subset", SUBSETS, ids="+".join)
def test_a_ragged_batch_restores_what_each_sample_restores_alone(subset: Subset) -> None:
    backbone, inputs, masks = make().eval(), fields(subset), masks_of(subset)
    assert all(mask.keep_padding is not None for mask in masks.values())
    batched = student(backbone, subset, inputs, masks)
    assert not batched.embeddings
    for row in range(3):
        alone = student(backbone, subset, fields(subset, [row]), masks_of(subset, (row,)))
        for name in subset:
            length, seen = alone.reconstructed[name].shape[1], alone.tokens[name].shape[1]
            close(batched.reconstructed[name][row, :length], alone.reconstructed[name][0])
            close(batched.tokens[name][row, :seen], alone.tokens[name][0])


@torch.no_grad()
@pytest.mark.parametrize("hide_padding", [True, False])
@pytest.mark.parametrize("subset", [("text",), ("touch", "text", "image")], ids="+".join)
def test_the_original_decoder_looks_at_padding(subset: Subset, hide_padding: bool) -> None:
    backbone = make(hide_padding=hide_padding).eval()
    batched = student(backbone, subset, fields(subset), masks_of(subset))
    alone = student(backbone, subset, fields(subset, [1]), masks_of(subset, (1,)))
    longest = student(backbone, ("text",), fields(("text",), [0]), masks_of(("text",), (0,)))
    length = alone.reconstructed["text"].shape[1]
    difference = (
        (batched.reconstructed["text"][1, :length] - alone.reconstructed["text"][0]).abs().max().item()
    )
    assert (difference <= 2e-5) == hide_padding
    close(batched.tokens["text"][1, : alone.tokens["text"].shape[1]], alone.tokens["text"][0])
    if subset == ("text",):  # nothing is padded in the longest row
        close(batched.reconstructed["text"][0], longest.reconstructed["text"][0])


@torch.no_grad()
@pytest.mark.parametrize("name", ["text", "image", "touch"])
def test_what_is_hidden_has_no_influence(name: str) -> None:
    backbone, inputs, masks = make().eval(), fields((name,)), masks_of((name,))
    before = student(backbone, (name,), inputs, masks).reconstructed[name]
    values = inputs[name].values.clone()
    hidden = torch.zeros(before.shape[:2], dtype=torch.bool)
    hidden.view(-1)[masks[name].hidden] = True
    if name == "image":
        patches = values.unfold(2, 16, 16).unfold(3, 16, 16)
        patches.permute(0, 2, 3, 1, 4, 5)[hidden[:, 1:].view(3, 4, 4)] = 9.0
    else:
        values[hidden[:, 1:]] = 77
    assert not torch.equal(values, inputs[name].values)
    changed = {name: ModalityInput(values, inputs[name].padding)}
    close(before, student(backbone, (name,), changed, masks).reconstructed[name])
    everything = backbone(changed, [ForwardPass((name,))])[0][0].tokens[name]
    assert (everything - backbone(inputs, [ForwardPass((name,))])[0][0].tokens[name]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("subset", [*SUBSETS, ("audio",), ("text", "audio")], ids="+".join)
def test_a_student_from_whom_nothing_is_hidden_sees_what_a_teacher_sees(subset: Subset) -> None:
    backbone, inputs = make().eval(), fields(subset)
    full: Features = backbone(inputs, [ForwardPass(subset)])[0][0]
    masks = {}
    for name in subset:
        length = full.tokens[name].shape[1]
        masks[name] = build_mask(torch.zeros(3, length, dtype=torch.bool), inputs[name].padding)
    seen = student(backbone, subset, inputs, masks)
    for name in subset:
        if "audio" in subset:  # empty slots hold a copy of a frame, which its convolutions see
            close(seen.tokens[name][0], full.tokens[name][0])
        else:
            padding = inputs[name].padding
            close(real(seen.tokens[name], padding), real(full.tokens[name], padding))


@torch.no_grad()
def test_visible_tokens_keep_their_places() -> None:
    backbone, inputs = make().eval(), fields(("touch",), [1])
    inputs["touch"].values[:] = inputs["touch"].values[:, :1]  # the same content everywhere
    hidden = torch.zeros(1, 9, dtype=torch.bool)
    hidden[0, 2:8] = True
    moved = hidden.roll(1, 1)
    here, there = (
        student(backbone, ("touch",), inputs, {"touch": build_mask(h)}).tokens["touch"]
        for h in (hidden, moved)
    )
    assert here.shape == there.shape
    assert (here - there).abs().max() > 1e-2


@torch.no_grad()
def test_hidden_places_are_told_apart() -> None:
    backbone, inputs, masks = make().eval(), fields(("image",)), masks_of(("image",))
    restored = student(backbone, ("image",), inputs, masks).reconstructed["image"].flatten(0, 1)
    hidden = restored[masks["image"].hidden]
    assert torch.pdist(hidden).min() > 1e-3


def test_a_masked_pass_trains_the_way_in_and_out() -> None:
    backbone = make()
    masks = masks_of(("text", "audio"))
    features = student(backbone, ("text", "audio"), fields(("text", "audio")), masks)
    sum(r.square().mean() for r in features.reconstructed.values()).backward()
    idle = {
        name
        for name, parameter in backbone.named_parameters()
        if name.startswith("decoder.") and parameter.requires_grad and parameter.grad is None
    }
    assert idle
    assert all(".image" in name or ".touch" in name for name in idle)


def test_without_decoder_a_masked_pass_is_refused() -> None:
    with pytest.raises(ValueError, match=r"needs a decoder; set decoder\.depth to at least 1"):
        student(make(decoder=False), ("text",), fields(("text",)), masks_of(("text",)))


def test_too_long_for_the_decoder() -> None:
    small = partial(ADAPTERS["audio"], decoder_tokens=10)
    backbone = make(adapters={"audio": small})
    with pytest.raises(ValueError, match="13 tokens are more than the decoder's 10 positions"):
        student(backbone, ("audio",), fields(("audio",)), masks_of(("audio",)))


def test_an_adapter_that_says_no_length_has_no_decoder() -> None:
    class Endless(Touch):
        def __init__(self, config: TransformerConfig) -> None:
            super().__init__(config)
            self.max_tokens = None

    with pytest.raises(ValueError, match="Endless has no max_tokens"):
        make(adapters={"touch": Endless})
    assert make(adapters={"touch": Endless}, decoder=False).decoder is None


def test_decoder_sizes_come_from_the_preset_unless_said() -> None:
    encoder = TransformerConfig(
        "small", scale_heads=True, sub_norm=False, init_std=0.5, activation_checkpointing="full"
    )
    config = DecoderConfig().resolve(encoder)
    assert config is not None
    assert (config.width, config.depth, config.heads, config.feed_forward) == (192, 2, 3, 512)
    assert (config.layer_scale, config.drop_path, config.position_bias) == (0.0, 0.0, False)
    assert (config.sub_norm, config.init_std, config.activation_checkpointing) == (False, 0.5, "full")
    said = DecoderConfig(depth=3, width=64, heads=4, feed_forward=80)
    resolved = said.resolve(encoder)
    assert resolved == replace(config, depth=3, width=64, heads=4, feed_forward=80)
    assert DecoderConfig(depth=0).resolve(encoder) is None
