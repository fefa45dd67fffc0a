"""Parameter counts, models without memory, and that the config files make the very models of the presets."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import yaml

from onepeace_pl.backbone import (
    PRESETS,
    Backbone,
    DecoderConfig,
    Extend,
    TransformerConfig,
    from_preset,
)
from onepeace_pl.cli.merge import MergingConfigFile
from onepeace_pl.cli.parser import Parser
from onepeace_pl.modalities import AudioAdapter, ImageAdapter, TextAdapter
from onepeace_pl.training.experiment import Experiment

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
ADAPTERS = {"text": TextAdapter, "image": ImageAdapter, "audio": AudioAdapter}


def count(module: torch.nn.Module, trainable: bool = False) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable)


def released(
    *modalities: str, decoder: bool = False, per_layer: bool = False, stage: str | Extend = "frozen"
) -> Backbone:
    with torch.device("meta"):
        return Backbone(
            {name: ADAPTERS[name] for name in modalities},
            TransformerConfig("4b", bias_per_layer=per_layer),
            DecoderConfig() if decoder else DecoderConfig(depth=0),
            stage,
        )


# docs/reference/model.md, section 10
MODELS = {
    "retrieval": (("text", "image", "audio"), {}, 3_884_740_545),
    "vision branch": (("image",), {}, 1_516_932_961),
    "language branch": (("text",), {}, 1_591_551_025),
    "audio branch": (("audio",), {}, 1_532_582_961),
    "vision-language, 40 tables": (("text", "image"), {"per_layer": True}, 2_731_704_193),
    "audio-language, 40 tables": (("text", "audio"), {"per_layer": True}, 2_747_412_225),
    "pretraining, first stage": (("text", "image"), {"decoder": True}, 2_759_268_497),
    "pretraining, second stage": (("text", "audio"), {"decoder": True}, 2_775_509_857),
}


@pytest.mark.parametrize("model", MODELS)
def test_released_model(model: str) -> None:
    modalities, options, expected = MODELS[model]
    assert count(released(*modalities, **options)) == expected


def test_parts_of_the_released_model() -> None:
    backbone = released("text", "image", "audio")
    encoder = backbone.encoder
    counts = {name: count(encoder.adapter(name)) for name in backbone.modalities}
    assert counts == {"text": 78_008_880, "image": 3_390_816, "audio": 19_040_816}
    layered = released("text", "image", "audio", per_layer=True).encoder
    counts = {name: count(layered.adapter(name)) for name in backbone.modalities}
    assert counts == {"text": 78_489_984, "image": 4_293_120, "audio": 20_001_152}
    blocks = encoder.transformer.blocks
    for name in backbone.modalities:
        assert sum(count(block.feed_forward[name]) for block in blocks) == 1_133_015_040
        assert count(encoder.projections[name]) == 2_360_832
        assert count(encoder.transformer.norms[name]) == 3_072
    shared = sum(count(block) - count(block.feed_forward) for block in blocks)
    assert shared == 378_163_200
    assert count(blocks[0].attention) == 9_444_864
    for pair, expected in ((("text", "image"), 24_222_976), (("text", "audio"), 24_814_336)):
        decoder = released(*pair, decoder=True).decoder
        ways = [decoder.adapter(name) for name in pair]
        outside = sum(count(way.embed) + count(way.restore) + way.mask_token.numel() for way in ways)
        assert count(decoder) - outside == expected


def test_what_trains_in_the_second_stage_of_the_released_model() -> None:
    backbone = released("text", "audio", decoder=True, stage=Extend("audio"))
    # the original counts its parameters without effect: audio's mask embeddings, the decoder's summaries
    idle = [p for n, p in backbone.named_parameters() if n.endswith("mask_embedding")]
    idle += [p for n, p in backbone.named_parameters() if n.startswith("decoder") and n.endswith("cls_token")]
    assert len(idle) == 4
    assert not any(p.requires_grad for p in idle)
    assert count(backbone, trainable=True) + sum(p.numel() for p in idle) == 1_183_958_833


@pytest.mark.parametrize(
    ("preset", "with_decoder", "without"),
    [
        ("debug", 170_273, 104_481),
        ("tiny", 1_607_169, 1_393_921),
        ("small", 75_566_481, 72_830_289),
        ("base", 344_073_825, 333_326_817),
        ("large", 1_094_099_069, 1_075_316_353),
        ("4b", 3_926_288_577, 3_884_740_545),
    ],
)
def test_sizes_of_the_presets(preset: str, with_decoder: int, without: int) -> None:
    with torch.device("meta"):
        assert (count(from_preset(preset)), count(from_preset(preset, decoder=False))) == (
            with_decoder,
            without,
        )


def test_every_preset_is_counted() -> None:
    counted = test_sizes_of_the_presets.pytestmark[0].args[1]
    assert [row[0] for row in counted] == list(PRESETS)


def test_sizes_that_are_left_out_are_the_presets() -> None:
    config = TransformerConfig("debug", depth=5, heads=4)
    sizes = (config.width, config.depth, config.heads, config.feed_forward, config.layer_scale)
    assert sizes == (32, 5, 4, 64, 1e-2)
    assert config == TransformerConfig("4b", **{k: v for k, v in asdict(config).items() if k != "preset"})
    assert TransformerConfig(**asdict(config)) == config


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="no preset 'tinny'; did you mean 'tiny'"):
        from_preset("tinny")
    with pytest.raises(ValueError, match="no preset 'xxl'; there are debug, tiny, small, base, large, 4b"):
        Backbone({"text": TextAdapter}, TransformerConfig("xxl"))
    with pytest.raises(ValueError, match="no modality 'smell' in the presets; there are text, image, audio"):
        from_preset("debug", ["text", "smell"])
    with pytest.raises(ValueError, match="at least one adapter"):
        from_preset("debug", [])


def test_modalities_may_come_one_by_one() -> None:
    assert from_preset("debug", iter(["audio", "text"])).modalities == ["audio", "text"]


def test_a_model_built_without_memory_starts_like_any_other() -> None:
    torch.manual_seed(0)
    normal = from_preset("debug")
    with torch.device("meta"):
        late = from_preset("debug")
    assert all(p.is_meta for p in late.parameters())
    late.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in late.parameters():
            parameter.fill_(float("nan"))
    late.initialise()
    theirs = dict(late.named_parameters())
    assert not any(tensor.isnan().any() for tensor in late.state_dict().values())
    for name, mine in normal.named_parameters():
        a, b = mine.detach().flatten(), theirs[name].detach().flatten()
        if a.std(correction=0) == 0:
            assert torch.equal(a, b), name
            continue
        noise = a.std() * (2 / len(a)) ** 0.5
        assert (a.mean() - b.mean()).abs() <= 6 * noise, name
        assert b.std() / a.std() == pytest.approx(1, abs=6 / len(a) ** 0.5), name
        assert b.abs().max() <= 1.6 * a.abs().max(), name


def layout(backbone: Backbone) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in backbone.state_dict().items()}


@pytest.mark.parametrize("preset", PRESETS)
def test_config_files_make_the_preset(preset: str, tmp_path: Path) -> None:
    audio = "audio_small" if preset in ("debug", "tiny", "small") else "audio"
    for modalities, start in ((("text", "image"), None), (("text", "image", "audio"), audio)):
        content = {"model": {"backbone": f"{CONFIGS}/parts/backbone/{preset}.yaml"}}
        content["model"]["task"] = f"{CONFIGS}/parts/task/alignment.yaml"
        (tmp_path / "parts.yaml").write_text(yaml.safe_dump(content))
        words = [f"--config={tmp_path / 'parts.yaml'}"]
        words += [f"--model.backbone.adapters.audio={CONFIGS}/parts/modality/{start}.yaml"] if start else []
        parser = Parser()
        parser.add_argument("--config", action=MergingConfigFile)
        parser.add_class_arguments(Experiment, "model", sub_configs=True)
        experiment = parser.instantiate_classes(parser.parse_args(words)).model
        with torch.device("meta"):
            assert layout(experiment.make_backbone()) == layout(from_preset(preset, modalities))
