"""Official names and ours: key layouts of every kind of checkpoint, round trips, loading at another resolution."""

import hashlib
import math
from functools import partial

import pytest
import torch

from onepeace_pl.backbone import Backbone, Extend, ForwardPass
from onepeace_pl.checkpoints.loading import load_state
from onepeace_pl.checkpoints.names import from_official, official_buffers, to_official, vision_only
from onepeace_pl.modalities import ImageAdapter, ModalityInput
from onepeace_pl.modalities.image.adapter import PATCH

from .files import record, tensors
from .reference import (
    NO_DECODER,
    PRETRAINING,
    adapters,
    audio_language,
    decoder,
    fine_tuning_inputs,
    pretrained,
    pretrained_state,
    transformer,
    vision_language,
)
from .sampling import assert_same_initialisation


def pretraining_model(golden, names=("text", "image", "audio"), decodes=True, **options):
    run = PRETRAINING if "image" in names else "audio_text_pretrain"
    parts = decoder(golden, run) if decodes else NO_DECODER
    return Backbone(adapters(golden, names, run), transformer(golden, run), parts, **options)


def fine_tuned(golden, names, run):
    return Backbone(adapters(golden, names, run), transformer(golden, run, bias_per_layer=True), NO_DECODER)


MODELS = {
    "pretrain_3modal": pretraining_model,
    "pretrain_stage2_audio": lambda g: pretraining_model(g, ("text", "audio"), stage=Extend("audio")),
    "embedding_interface_val": lambda g: pretraining_model(g, decodes=False),
    "image_text_retrieval": lambda g: fine_tuned(g, ("text", "image"), "image_text_retrieval"),
    "audio_text_retrieval": lambda g: fine_tuned(g, ("text", "audio"), "audio_text_retrieval"),
}


def rows(golden, model):
    return {row["name"]: row for row in record(golden, "state_keys")[model]}


@pytest.mark.parametrize("model", MODELS)
def test_key_layout(golden, model):
    backbone, expected = MODELS[model](golden), rows(golden, model)
    mine = to_official(backbone.state_dict()) | official_buffers(backbone)
    assert {name: list(t.shape) for name, t in mine.items()} == {
        name: row["shape"] for name, row in expected.items()
    }
    for name, row in expected.items():
        if row["kind"] == "buffer" and "sha256" in row and not name.endswith("version"):
            data = mine[name].numpy().astype("<i8").tobytes()
            assert hashlib.sha256(data).hexdigest() == row["sha256"], name


def test_frozen_parameters_of_the_second_stage(golden):
    backbone = MODELS["pretrain_stage2_audio"](golden)
    frozen = {n for n, row in rows(golden, "pretrain_stage2_audio").items() if row.get("frozen")}
    named = dict(backbone.named_parameters())
    mine = set(to_official({n: p for n, p in named.items() if not p.requires_grad}))
    without_effect = {
        n for n in mine if "mask_embedding" in n or (n.startswith("decoder_wrapper") and "cls_embedding" in n)
    }
    assert mine - without_effect == frozen


def test_round_trip_is_bit_equal(golden):
    official = tensors(golden, "pretrain_state")
    ours, left = from_official(official)
    again = to_official(ours) | {
        n: t for n, t in official_buffers(pretrained(golden)).items() if n in official
    }
    assert not left
    assert again.keys() == official.keys()
    for name, tensor in official.items():
        assert again[name].shape == tensor.shape, name
        assert torch.equal(again[name], tensor), name


def test_vision_only_names(golden):
    official = tensors(golden, "pretrain_state") | official_buffers(pretrained(golden))
    branch = vision_only(official)
    expected = rows(golden, "vision_branch")
    shared = {
        n
        for n in expected
        if not n.startswith(("fc_norm", "head")) and n != "image_adapter.rel_pos_table.weight"
    }
    assert shared <= set(branch)
    ours, left = from_official(branch)
    backbone = Backbone(adapters(golden, ("image",)), transformer(golden), NO_DECODER)
    report = load_state(backbone, ours, "vision")
    assert not left
    assert not report.left_over
    untrained = ("encoder.transformer.norms.", "encoder.projections.", "logit_scale")
    assert all(name.startswith(untrained) for name in report.new)
    assert len(report.new) == 5  # two of the norm, two of the projection, the scale


def test_damaged_checkpoint_names_the_key(golden):
    official = tensors(golden, "pretrain_state")
    del official["encoder_wrapper.fusion_model.layers.1.self_attn.k_proj.weight"]
    with pytest.raises(ValueError, match=r"layers\.1\.self_attn\.k_proj\.weight"):
        from_official(official)


@torch.no_grad()
def test_loading_at_a_higher_resolution(golden):
    expected, inputs = tensors(golden, "interpolation"), fine_tuning_inputs(golden)
    expected.pop("after_load.image_rel_pos_table_list.0.weight", None)  # wrong in the first set: randomised
    ours = pretrained_state(golden)
    backbone = MODELS["image_text_retrieval"](golden).eval()
    report = load_state(backbone, ours, "pretrain")
    assert f"encoder.adapters.image.bias.tables.{backbone.config.depth - 1}" in report.resized
    image = backbone.encoder.adapters["image"]
    theirs = expected["after_load.pos_embed_at_forward"]
    positions = image.positions(torch.zeros(1, *theirs.shape), None)[0]
    assert (positions - theirs).abs().max() <= 1e-5
    vectors = backbone.embed({name: inputs[name] for name in ("text", "image")})
    for name, vector in vectors.items():
        assert (vector - expected[f"after_load.{name}_proj"]).abs().max() <= 2e-6


@torch.no_grad()
def test_a_larger_grid_from_the_start(golden):
    expected = tensors(golden, "interpolation")
    ours = pretrained_state(golden)
    side = math.isqrt(len(expected["bigger_bucket.pos_embed"]) - 1)
    made = {"image": partial(ImageAdapter, image_size=side * PATCH, position_side=side)}
    backbone = Backbone(made, transformer(golden, bias_per_layer=True), NO_DECODER).eval()
    load_state(backbone, ours, "pretrain")
    image = backbone.encoder.adapters["image"]
    assert (image.position_table - expected["bigger_bucket.pos_embed"]).abs().max() <= 1e-5
    assert (
        image.bias.tables[0] - expected["bigger_bucket.image_rel_pos_table_list.0.weight"]
    ).abs().max() <= 1e-4
    inputs = {"image": ModalityInput(expected["bigger_bucket.src_images"])}
    (features,), _ = backbone(inputs, [ForwardPass(("image",))])
    assert (features.embeddings["image"] - expected["bigger_bucket.image_proj"]).abs().max() <= 2e-6


@torch.no_grad()
def test_the_embedding_model_gives_the_same_projections(golden):
    ours = pretrained_state(golden)
    backbone = MODELS["embedding_interface_val"](golden).eval()
    report = load_state(backbone, ours, "pretrain")
    assert all(name.startswith("decoder.") for name in report.left_over)
    expected = tensors(golden, "features")
    vectors = backbone.embed(vision_language(golden)[0])
    vectors["audio"] = backbone.embed({"audio": audio_language(golden)[0]["audio"]})["audio"]
    for name, vector in vectors.items():
        assert (vector - expected[f"{name}.proj"]).abs().max() <= 2e-6


def test_initial_statistics(golden):
    torch.manual_seed(0)
    backbone = MODELS["pretrain_3modal"](golden)
    expected = record(golden, "init_statistics")["pretrain_3modal"]
    mine = to_official(dict(backbone.named_parameters()))
    assert mine.keys() <= expected.keys()
    assert expected.keys() - mine.keys() <= official_buffers(backbone).keys()
    for name, row in expected.items():
        if name not in mine:
            continue
        assert_same_initialisation(mine[name], row, name)
