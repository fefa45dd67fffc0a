"""Official names and ours: key layouts of every kind of checkpoint, round trips, loading at another resolution."""

import hashlib
import json
from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from onepeace_pl.backbone import Backbone, Extend, Stream
from onepeace_pl.backbone.interop import from_official, official_buffers, to_official, vision_only
from onepeace_pl.backbone.loading import load_state
from onepeace_pl.modalities import ImageAdapter, ModalityInput

from .reference import DECODER, TRANSFORMER, adapters, pretrained, text_input

NO_DECODER = replace(DECODER, depth=0)
PER_LAYER = replace(TRANSFORMER, bias_per_layer=True)
MODELS = {
    "pretrain_3modal": lambda: Backbone(adapters(), TRANSFORMER, DECODER),
    "pretrain_stage2_audio": lambda: Backbone(
        adapters(("text", "audio")), TRANSFORMER, DECODER, Extend("audio")
    ),
    "embedding_interface_val": lambda: Backbone(adapters(), TRANSFORMER, NO_DECODER),
    "image_text_retrieval": lambda: Backbone(adapters(("text", "image"), 96), PER_LAYER, NO_DECODER),
    "audio_text_retrieval": lambda: Backbone(adapters(("text", "audio")), PER_LAYER, NO_DECODER),
}


def rows(golden, model):
    return {row["name"]: row for row in json.loads((golden / "state_keys.json").read_text())[model]}


@pytest.mark.parametrize("model", MODELS)
def test_key_layout(golden, model):
    backbone, expected = MODELS[model](), rows(golden, model)
    mine = to_official(backbone.state_dict()) | official_buffers(backbone)
    assert {name: list(t.shape) for name, t in mine.items()} == {
        name: row["shape"] for name, row in expected.items()
    }
    for name, row in expected.items():
        if row["kind"] == "buffer" and "sha256" in row and not name.endswith("version"):
            data = mine[name].numpy().astype("<i8").tobytes()
            assert hashlib.sha256(data).hexdigest() == row["sha256"], name


def test_frozen_parameters_of_the_second_stage(golden):
    backbone = MODELS["pretrain_stage2_audio"]()
    frozen = {n for n, row in rows(golden, "pretrain_stage2_audio").items() if row.get("frozen")}
    named = dict(backbone.named_parameters())
    mine = set(to_official({n: p for n, p in named.items() if not p.requires_grad}))
    without_effect = {
        n for n in mine if "mask_embedding" in n or (n.startswith("decoder_wrapper") and "cls_embedding" in n)
    }
    assert mine - without_effect == frozen


def test_round_trip_is_bit_equal(golden):
    official = load_file(golden / "pretrain_state.safetensors")
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
    official = load_file(golden / "pretrain_state.safetensors") | official_buffers(pretrained(golden))
    branch = vision_only(official)
    expected = rows(golden, "vision_branch")
    shared = {
        n
        for n in expected
        if not n.startswith(("fc_norm", "head")) and n != "image_adapter.rel_pos_table.weight"
    }
    assert shared <= set(branch)
    ours, left = from_official(branch)
    backbone = Backbone(adapters(("image",)), TRANSFORMER, NO_DECODER)
    report = load_state(backbone, ours, "vision")
    assert not left
    assert not report.left_over
    untrained = ("encoder.transformer.norms.", "encoder.projections.", "logit_scale")
    assert all(name.startswith(untrained) for name in report.new)
    assert len(report.new) == 5


def test_damaged_checkpoint_names_the_key(golden):
    official = load_file(golden / "pretrain_state.safetensors")
    del official["encoder_wrapper.fusion_model.layers.1.self_attn.k_proj.weight"]
    with pytest.raises(ValueError, match=r"layers\.1\.self_attn\.k_proj\.weight"):
        from_official(official)


@torch.no_grad()
def test_loading_at_a_higher_resolution(golden):
    expected, x = (
        load_file(golden / "interpolation.safetensors"),
        load_file(golden / "finetune_inputs.safetensors"),
    )
    ours, _ = from_official(load_file(golden / "pretrain_state.safetensors"))
    backbone = MODELS["image_text_retrieval"]().eval()
    report = load_state(backbone, ours, "pretrain")
    assert "encoder.adapters.image.bias.tables.2" in report.resized
    image = backbone.encoder.adapters["image"]
    positions = image.positions(torch.zeros(1, 37, 64), None)[0]
    assert (positions - expected["after_load.pos_embed_at_forward"]).abs().max() <= 1e-5
    inputs = {"text": text_input(x["src_tokens"]), "image": ModalityInput(x["src_images"])}
    vectors = backbone.embed(inputs)
    for name, vector in vectors.items():
        assert (vector - expected[f"after_load.{name}_proj"]).abs().max() <= 2e-6


@torch.no_grad()
def test_a_larger_grid_from_the_start(golden):
    expected = load_file(golden / "interpolation.safetensors")
    ours, _ = from_official(load_file(golden / "pretrain_state.safetensors"))
    made = {"image": partial(ImageAdapter, image_size=112, position_side=7)}
    backbone = Backbone(made, replace(TRANSFORMER, bias_per_layer=True), NO_DECODER).eval()
    load_state(backbone, ours, "pretrain")
    image = backbone.encoder.adapters["image"]
    assert (image.position_table - expected["bigger_bucket.pos_embed"]).abs().max() <= 1e-5
    assert (
        image.bias.tables[0] - expected["bigger_bucket.image_rel_pos_table_list.0.weight"]
    ).abs().max() <= 1e-4
    inputs = {"image": ModalityInput(expected["bigger_bucket.src_images"])}
    (features,), _ = backbone(inputs, [Stream(("image",))])
    assert (features.embeddings["image"] - expected["bigger_bucket.image_proj"]).abs().max() <= 2e-6


@torch.no_grad()
def test_the_embedding_model_gives_the_same_projections(golden):
    from .reference import audio_language, vision_language

    ours, _ = from_official(load_file(golden / "pretrain_state.safetensors"))
    backbone = MODELS["embedding_interface_val"]().eval()
    report = load_state(backbone, ours, "pretrain")
    assert all(name.startswith("decoder.") for name in report.left_over)
    expected = load_file(golden / "features.safetensors")
    vectors = backbone.embed(vision_language(golden)[0])
    vectors["audio"] = backbone.embed({"audio": audio_language(golden)[0]["audio"]})["audio"]
    for name, vector in vectors.items():
        assert (vector - expected[f"{name}.proj"]).abs().max() <= 2e-6


def test_initial_statistics(golden):
    torch.manual_seed(0)
    backbone = MODELS["pretrain_3modal"]()
    expected = json.loads((golden / "init_statistics.json").read_text())["pretrain_3modal"]
    mine = to_official(dict(backbone.named_parameters()))
    assert mine.keys() <= expected.keys()
    assert expected.keys() - mine.keys() <= official_buffers(backbone).keys()
    for name, row in expected.items():
        if name not in mine:
            continue
        tensor = mine[name].detach().double()
        if row["std"] == 0 or tensor.numel() < 2:
            assert (tensor - row["mean"]).abs().max() <= 1e-6, name
            continue
        noise = row["std"] / tensor.numel() ** 0.5
        assert abs(tensor.mean().item() - row["mean"]) <= 8 * noise, name
        assert tensor.std().item() == pytest.approx(row["std"], rel=max(0.05, 5 / tensor.numel() ** 0.5)), (
            name
        )
        bound = max(abs(row["min"]), abs(row["max"]))
        assert tensor.abs().max().item() <= (0.02 + 1e-7 if bound <= 0.02 + 1e-7 else 2 * bound), name
