"""Model folders: round trip and one-line errors."""

import json

import pytest
import torch
from safetensors.torch import load_file

from onepeace_pl import OnePeace
from onepeace_pl.checkpoints.folder import Origin, read_config, read_extra, read_official, read_origin
from onepeace_pl.hub import load_folder, save_folder
from tests.unit.hub.conftest import TEXTS, make_model


def test_everything_comes_back(model, tmp_path):
    model.save_pretrained(tmp_path)
    again = OnePeace.from_pretrained(tmp_path, device="cpu")
    assert again.modalities == model.modalities
    for name, tensor in model.backbone.state_dict().items():
        assert torch.equal(again.backbone.state_dict()[name], tensor), name
    assert again.processors["text"].tokenizer == model.processors["text"].tokenizer
    assert again.processors["audio"].max_seconds == 2.0
    assert torch.equal(again.encode(text=TEXTS), model.encode(text=TEXTS))


def test_the_same_model_gives_the_same_bytes(model, tmp_path):
    model.save_pretrained(tmp_path / "a")
    OnePeace.from_pretrained(tmp_path / "a", device="cpu").save_pretrained(tmp_path / "b")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == [
        "README.md",
        "config.json",
        "config_sentence_transformers.json",
        "model.safetensors",
        "modules.json",
        "tokenizer.json",
    ]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_saving_over_the_folder_that_it_was_loaded_from(model, tmp_path):
    model.save_pretrained(tmp_path)
    before = model.encode(text=TEXTS)
    loaded = OnePeace.from_pretrained(tmp_path, device="cpu")
    loaded.save_pretrained(tmp_path)
    assert torch.equal(loaded.encode(text=TEXTS), before)
    assert torch.equal(OnePeace.from_pretrained(tmp_path, device="cpu").encode(text=TEXTS), before)


def test_nothing_of_an_older_model_stays(model, tmp_path):
    extra, origin = {"head.weight": torch.ones(2)}, Origin("classify", ("logit_scale",), ("x.rp_bucket",))
    save_folder(tmp_path, model.backbone, model.processors, extra=extra, origin=origin, official={"a": 1})
    assert read_origin(read_config(tmp_path)) == origin
    assert read_official(tmp_path) == {"a": 1}
    assert torch.equal(read_extra(tmp_path)["head.weight"], torch.ones(2))
    model.processors["text"].tokenizer = None
    save_folder(tmp_path, model.backbone, model.processors)
    assert read_extra(tmp_path) == {}
    assert read_origin(read_config(tmp_path)) is None
    assert not (tmp_path / "tokenizer.json").exists()
    assert "No tokenizer for text" in (tmp_path / "README.md").read_text()


def test_weights_of_another_type(model, tmp_path):
    model.save_pretrained(tmp_path)
    half, _ = load_folder(tmp_path, dtype=torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert {t.dtype for t in load_file(tmp_path / "model.safetensors").values()} == {torch.float32}


def test_tensors_that_share_memory_are_written_whole(model, tmp_path):
    state = dict(model.backbone.state_dict())
    names = ["encoder.projections.text.weight", "encoder.projections.image.weight"]
    state[names[1]] = state[names[0]]
    save_folder(tmp_path, model.backbone, model.processors, state=state)
    written = load_file(tmp_path / "model.safetensors")
    assert torch.equal(written[names[0]], written[names[1]])


def test_model_card_says_how_to_use_it(model, tmp_path):
    model.save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text()
    count = sum(p.numel() for p in model.backbone.parameters())
    assert f"{count:,}" in card
    assert "OnePeace.from_pretrained" in card
    assert "text, image and audio" in card


def test_what_is_wrong_is_told(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no config\.json in"):
        load_folder(tmp_path / "nothing")
    model.save_pretrained(tmp_path)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ValueError, match="damaged"):
        load_folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors"):
        load_folder(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for text, message in (
        ("{", "no valid JSON"),
        ("[]", "but None"),
        (json.dumps({**config, "format": 9}), "9"),
    ):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            load_folder(tmp_path)


def test_damaged_files_are_one_line_that_names_them(model, tmp_path):
    for name, contents in {
        "config.json": [b"{", b"\xff\xfe", b"[" * 100_000, b'{"format": 1, "backbone": {}}', b""],
        "tokenizer.json": [b"", b"{", b"\xff", b"[]", b'{"model": {"vocab": {"a": 1}, "merges": []}}'],
        "model.safetensors": [b"", b"\xff" * 100, b"\x08" + b"\0" * 7 + b"{}      "],
    }.items():
        for content in contents:
            model.save_pretrained(tmp_path)
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ValueError, match=rf"{tmp_path}.*") as caught:
                load_folder(tmp_path)
            assert "\n" not in str(caught.value)
            assert name.partition(".")[0] in str(caught.value) or name.endswith("safetensors")
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["processors"]["text"]["init_args"]["max_tokens"] = "many"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"config\.json: "):
        load_folder(tmp_path)


def test_absurd_sizes_are_refused_before_anything_is_built(model, tmp_path):
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["backbone"]["transformer"]["depth"] = 10**6
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ValueError, match=r"config\.json: the config describes a larger model than the weights"
    ):
        load_folder(tmp_path)


def test_weights_of_another_model_are_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    make_model(depth=3).save_pretrained(tmp_path / "deeper")
    (tmp_path / "deeper" / "model.safetensors").replace(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="do not belong together"):
        load_folder(tmp_path)
