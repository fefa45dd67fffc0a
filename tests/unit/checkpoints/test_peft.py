"""Adapters in peft's files: written, read back, and refused where they are more than that."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from onepeace_pl.backbone import Backbone, LoRAStage
from onepeace_pl.checkpoints.peft import load_adapters, merged
from onepeace_pl.hub import load_folder, save_folder

from ..samples import fields, make

NAMES = ("text", "touch")


def tuned(**options) -> Backbone:
    stage = LoRAStage(2, alpha=3.0, targets=("attention", "feed_forward.text"))
    return make(NAMES, decoder=False, stage=stage, **options).eval()


def plain_of(backbone: Backbone) -> Backbone:
    plain = make(NAMES, decoder=False)
    plain.load_state_dict(backbone.state_dict(), strict=False)
    return plain.eval()


def test_there_and_back(tmp_path: Path) -> None:
    backbone = tuned()
    save_folder(tmp_path, backbone, {})
    layer = "encoder.transformer.blocks.1.feed_forward.text.expand"
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    assert torch.equal(
        tensors[f"base_model.model.{layer}.lora_A.weight"], backbone.get_parameter(f"{layer}.lora_A")
    )
    assert len(tensors) == sum(n.endswith(("lora_A", "lora_B")) for n in backbone.state_dict())
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 2, 3.0)
    assert layer in config["target_modules"]
    again = plain_of(backbone)
    assert load_adapters(again, tmp_path).scale == 1.5
    inputs = fields(NAMES)
    with torch.no_grad():
        for name, vector in again.embed(inputs).items():
            assert torch.equal(vector, backbone.embed(inputs)[name])
    save_folder(tmp_path, plain_of(backbone), {})  # nothing of an older model stays
    assert not list(tmp_path.glob("adapter_*"))


def test_a_folder_keeps_its_adapters_and_merges(tmp_path: Path) -> None:
    backbone = tuned()
    save_folder(tmp_path / "tuned", backbone, {})
    again, _ = load_folder(tmp_path / "tuned")
    assert again.stage == backbone.stage
    assert all(torch.equal(again.state_dict()[n], t) for n, t in backbone.state_dict().items())
    whole, state = merged(again, again.state_dict(), "it")
    save_folder(tmp_path / "merged", whole, {}, state)
    folded, _ = load_folder(tmp_path / "merged")
    inputs = fields(NAMES)
    with torch.no_grad():
        for name, vector in folded.embed(inputs).items():
            torch.testing.assert_close(vector, backbone.embed(inputs)[name], rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="--merge has no meaning for it, which has no low-rank adapters"):
        merged(folded, state, "it")


def test_what_cannot_be_read(tmp_path: Path) -> None:
    backbone = tuned()
    with pytest.raises(FileNotFoundError, match=r"no adapter_config\.json in"):
        load_adapters(backbone, tmp_path)
    save_folder(tmp_path, backbone, {})
    with pytest.raises(ValueError, match="has low-rank adapters already"):
        load_adapters(backbone, tmp_path)
    config, path = (
        json.loads((tmp_path / "adapter_config.json").read_text()),
        tmp_path / "adapter_config.json",
    )
    for option, value in (
        ("use_dora", True),
        ("bias", "all"),
        ("peft_type", "IA3"),
        ("rank_pattern", {"a": 1}),
    ):
        path.write_text(json.dumps({**config, option: value}))
        with pytest.raises(ValueError, match=f"{option} is .*only plain adapters"):
            load_adapters(plain_of(backbone), tmp_path)
    path.write_text("{")
    with pytest.raises(ValueError, match="no valid JSON"):
        load_adapters(plain_of(backbone), tmp_path)
    path.write_text(json.dumps(config))
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    strange = {"base_model.model.head.lora_A.weight": torch.ones(2, 2)}
    save_file(tensors | strange, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ValueError, match=r"head\.lora_A\.weight is no adapter of the encoder's blocks"):
        load_adapters(plain_of(backbone), tmp_path)
    deeper = {n.replace("blocks.1.", "blocks.7."): t for n, t in tensors.items()}
    save_file(deeper, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ValueError, match=r"target '7\.attention.* names no layer"):
        load_adapters(plain_of(backbone), tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_peft_reads_the_files(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    backbone, inputs = tuned(), fields(NAMES)
    save_folder(tmp_path, backbone, {})
    plain = plain_of(backbone)
    peft.PeftModel.from_pretrained(plain, tmp_path)  # wraps its layers in place
    with torch.no_grad():
        for name, vector in plain.eval().embed(inputs).items():
            torch.testing.assert_close(vector, backbone.embed(inputs)[name], rtol=0, atol=1e-6)
