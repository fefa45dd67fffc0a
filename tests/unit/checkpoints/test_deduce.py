"""Sizes and switches found in tensors: deduce(state of any model) describes that model."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from onepeace_pl.backbone import Backbone, DecoderConfig, TransformerConfig, from_preset
from onepeace_pl.checkpoints.deduce import check_preset, deduce
from onepeace_pl.checkpoints.names import from_official, to_official
from onepeace_pl.modalities import AudioAdapter, ImageAdapter, TextAdapter

PLAIN = TransformerConfig("debug", width=64, depth=3, heads=4, feed_forward=96)
SWITCHES = {
    "plain": {},
    "no sub-norms": {"sub_norm": False, "feed_forward_norm": False},
    "norm after attention": {"out_norm": True},
    "scaled heads": {"scale_heads": True},
    "no layer scale": {"layer_scale": 0.0},
    "tables per layer": {"bias_per_layer": True},
    "other sizes": {"depth": 2, "heads": 2, "feed_forward": 40},
    "no tables, scaled heads": {"position_bias": False, "scale_heads": True},
}


def backbone(decoder=DecoderConfig(depth=1, width=32, heads=2, feed_forward=48), **switches):  # noqa: B008
    adapters = {
        "text": partial(TextAdapter, vocabulary=70, buckets=8, max_tokens=20, embedding_norm=True, types=1),
        "image": partial(ImageAdapter, image_size=96, position_side=4, patch_stem="linear", types=2),
        "audio": partial(
            AudioAdapter,
            channels=16,
            buckets=12,
            position_depth=2,
            position_reach=10,
            position_groups=8,
            position_pre_norm=True,
            decoder_tokens=99,
        ),
    }
    return Backbone(adapters, replace(PLAIN, **switches), decoder)


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_is_found_by_way_of_official_names(name):
    model = backbone(**SWITCHES[name])
    official = to_official(model.state_dict())
    ours, left = from_official(official)
    assert not left
    again = Backbone.from_config(deduce(ours))
    again.load_state_dict(ours)
    assert again.config == replace(
        model.config, init_std=again.config.init_std, layer_scale=again.config.layer_scale
    )
    assert again.config.layer_scale == 0.0 or model.config.layer_scale > 0
    buckets = (
        ["buckets"] if model.config.position_bias else []
    )  # where there is no table, they have no effect
    for name_ in (*buckets, "position_reach", "position_groups", "position_pre_norm", "channels", "types"):
        for modality in model.modalities:
            a, b = model.encoder.adapter(modality), again.encoder.adapter(modality)
            assert getattr(a, name_, None) == getattr(b, name_, None), (modality, name_)
    assert again.encoder.adapter("image").image_size == (64 if "no tables" in name else 96)


def test_the_decoder_follows_its_options():
    model = backbone(DecoderConfig(depth=1, width=48, heads=6, feed_forward=20))
    guessed = Backbone.from_config(deduce(model.state_dict()))
    assert guessed.decoder.transformer.blocks[0].attention.heads == 3  # as wide as the encoder's heads
    config = Backbone.from_config(deduce(model.state_dict(), {"decoder": {"attention_heads": 6}}))
    assert config.decoder.transformer.blocks[0].attention.heads == 6
    assert Backbone.from_config(deduce(model.state_dict(), decoder=False)).decoder is None
    assert not deduce(model.state_dict())["decoder"]["hide_padding"]  # the original's


def test_a_preset_is_recognised():
    with torch.device("meta"):
        state = from_preset("small").state_dict()
    found = deduce(state)
    assert found["transformer"]["preset"] == "small"
    assert found["transformer"]["width"] == 384
    check_preset(found, "small")
    with pytest.raises(ValueError, match="width 384, preset 'base' 768"):
        check_preset(found, "base")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("encoder.transformer.blocks.1.", "layer 1 of the encoder is missing"),
        ("encoder.adapters.", "no text, image or audio adapter"),
        ("encoder.adapters.image.position_table", "has no position_table"),
        ("encoder.adapters.audio.extractor.2.", "front end has kernels"),
        ("encoder.adapters.text.bias.tables.2", "is the checkpoint whole"),
    ],
)
def test_damage_is_named(name, message):
    state = {k: t for k, t in backbone(bias_per_layer=True).state_dict().items() if not k.startswith(name)}
    with pytest.raises(ValueError, match=message):
        deduce(state)


def test_tables_of_no_grid():
    state = dict(backbone().state_dict())
    state["encoder.adapters.image.bias.tables.0"] = torch.zeros(50, 4)
    with pytest.raises(ValueError, match="50 rows belongs to no grid"):
        deduce(state)
