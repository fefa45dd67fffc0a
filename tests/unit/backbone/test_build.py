"""A backbone says how it was made, and is made again from that: adapters of third parties included."""

import json
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone, DecoderConfig, Extend, Frozen, TransformerConfig
from onepeace_pl.backbone.build import build_for
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import ImageAdapter, ModalityAdapter, Off, TextAdapter

from ..samples import ADAPTERS, ALL, Touch, fields, make


class Forgetful(Touch):
    def __init__(self, config: TransformerConfig, rate: int = 3) -> None:
        super().__init__(config)


def again(backbone: Backbone) -> Backbone:
    return Backbone.from_config(json.loads(json.dumps(backbone.to_config())))


@torch.no_grad()
def test_a_description_is_plain_data_and_makes_the_same_model() -> None:
    backbone = make(stage=Extend("touch"), drop_path=0.1, bias_per_layer=True).eval()
    second = again(backbone).eval()
    assert second.to_config() == backbone.to_config()
    assert second.modalities == list(ALL)
    second.load_state_dict(backbone.state_dict())
    inputs = fields()
    assert torch.equal(backbone.embed_jointly(inputs), second.embed_jointly(inputs))
    mine, theirs = dict(backbone.named_parameters()), dict(second.named_parameters())
    assert [n for n in mine if mine[n].requires_grad != theirs[n].requires_grad] == []


def test_every_option_is_kept() -> None:
    adapters = {
        "text": partial(
            TextAdapter, vocabulary=300, buckets=8, max_tokens=20, embedding_norm=True, shrink=0.5
        ),
        "image": partial(ImageAdapter, image_size=32, position_side=3, patch_stem="linear", types=2),
        "touch": partial(Touch, max_tokens=11, buckets=6),
    }
    transformer = TransformerConfig("debug", width=48, heads=3, dropout=0.1, scale_heads=True, out_norm=True)
    decoder = DecoderConfig(depth=2, width=16, heads=1, hide_padding=False)
    backbone = Backbone(adapters, transformer, decoder, "frozen")
    described = backbone.to_config()
    for name, made in adapters.items():
        assert made.keywords.items() <= described["adapters"][name]["init_args"].items()
    second = again(backbone)
    assert (second.config, second.decoder_config) == (transformer, decoder)
    assert second.stage == Frozen()
    shapes = {n: t.shape for n, t in backbone.state_dict().items()}
    assert {n: t.shape for n, t in second.state_dict().items()} == shapes


def test_an_adapter_that_does_not_keep_its_options() -> None:
    backbone = make(adapters={"touch": Forgetful})
    with pytest.raises(UserError, match="Forgetful does not keep its option 'rate' as an attribute"):
        backbone.to_config()


def test_a_class_that_nobody_could_find_again() -> None:
    class Hidden(Touch):
        pass

    with pytest.raises(
        UserError, match="Hidden is defined inside a function; move it to the top of a module"
    ):
        make(adapters={"touch": Hidden}).to_config()


@pytest.mark.parametrize("path", ["my_sensor.MotionAdapter", "onepeace_pl.modalities.TouchAdapter", "Touch"])
def test_a_class_that_cannot_be_imported(path: str) -> None:
    described = make(("text",)).to_config()
    described["adapters"]["motion"] = {"class_path": path}
    with pytest.raises(
        ValueError, match=f"adapter 'motion': cannot import {path}; is its folder on PYTHONPATH"
    ):
        Backbone.from_config(described, trust=True)


def test_sizes_that_the_weights_do_not_have_cost_no_time() -> None:
    backbone = make(("text", "image", "audio"))
    weights = backbone.state_dict()
    assert build_for(weights, backbone.to_config(), "it").to_config() == backbone.to_config()

    def numbers(part: Any, *path: str) -> Iterator[tuple[str, ...]]:
        if isinstance(part, dict):
            for key, value in part.items():
                yield from numbers(value, *path, key)
        elif isinstance(part, int) or path[-1] in ("width", "depth", "heads", "feed_forward"):
            yield path

    larger = {"depth", "width", "vocabulary", "max_tokens", "image_size", "buckets", "channels", "types"}
    for path in numbers(backbone.to_config()):
        for size in (10**6, 10**20):
            described = backbone.to_config()
            part: Any = described
            for key in path[:-1]:
                part = part[key]
            part[path[-1]] = size
            refused = pytest.raises(ValueError, match=r"^it: ") if path[-1] in larger else nullcontext()
            with refused as caught, suppress(*(() if path[-1] in larger else (ValueError,))):
                build_for(weights, described, "it")
            assert caught is None or "\n" not in str(caught.value), path


def test_what_no_backbone_can_be_made_of_is_one_line() -> None:
    backbone = make(("text",))
    for change in (
        {"adapters": 3},
        {"transformer": {"depth": "x"}},
        {"decoder": None},
        {"stage": {"last": 99}},
        {"fuse": "mean"},
    ):
        with pytest.raises(ValueError, match=r"^here/config\.json: ") as caught:
            build_for(backbone.state_dict(), {**backbone.to_config(), **change}, "here/config.json")
        assert "\n" not in str(caught.value)


def test_a_class_that_is_no_adapter() -> None:
    described = make(("text",)).to_config()
    described["adapters"]["text"]["class_path"] = "onepeace_pl.modalities.masking.WholeWords"
    with pytest.raises(UserError, match=r"adapter 'text': .*WholeWords is no ModalityAdapter"):
        Backbone.from_config(described)


def test_off_takes_an_adapter_out() -> None:
    backbone = make(adapters={"text": ADAPTERS["text"], "image": Off})
    assert backbone.modalities == ["text"]
    assert list(backbone.to_config()["adapters"]) == ["text"]
    with pytest.raises(TypeError, match="switched off"):
        Off(backbone.config).stem(torch.zeros(1))


def test_an_adapter_must_say_how_values_become_tokens() -> None:
    class Empty(ModalityAdapter):
        def positions(self, contents: Tensor, keep: Tensor | None) -> Tensor:
            return contents

    with pytest.raises(TypeError, match="stem"):
        make(adapters={"empty": Empty})
