"""Official files through ``convert``: every kind there and back bit for bit, and what the folder gives."""

import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file

from onepeace_pl import OnePeace
from onepeace_pl.checkpoints.names import vision_only
from onepeace_pl.checkpoints.pickles import read_pickle
from onepeace_pl.commands.convert import main as convert
from onepeace_pl.modalities import ModalityInput
from onepeace_pl.modalities.image.adapter import PATCH

from .files import record, tensors
from .official_files import HEADS, official_model, vision_file, write
from .reference import audio_language, fine_tuning_inputs, transformer, vision_language

KINDS = {
    "pretrain_3modal": None,
    "pretrain_stage2_audio": None,
    "embedding_interface_val": None,
    "image_text_retrieval": "retrieval_image_text",
    "audio_text_retrieval": "retrieval_audio_text",
    **{f"classify_{head}": f"classify_{head}" for head in HEADS},
}


def same(a, b):
    assert a.keys() == b.keys(), sorted(a.keys() ^ b.keys())[:3]
    for name, tensor in a.items():
        assert b[name].dtype == tensor.dtype, name
        assert b[name].shape == tensor.shape, name
        assert torch.equal(b[name], tensor), name


@pytest.mark.parametrize("model", KINDS)
def test_there_and_back(golden, tmp_path, capsys, model):
    official = official_model(golden, model, KINDS[model])
    source = write(tmp_path / "official.pt", golden, official)
    assert convert([str(source), "--to", str(tmp_path / "model")]) == 0
    printed = capsys.readouterr().out
    assert f"{len(official)} keys" in printed
    assert convert([str(tmp_path / "model"), "--to", str(tmp_path / "again.pt")]) == 0
    same(official, read_pickle(tmp_path / "again.pt")["model"])


def test_layout_and_options_come_back(golden, tmp_path):
    official = official_model(golden, "pretrain_3modal")
    source = write(tmp_path / "official.pt", golden, official, "image_text_pretrain")
    convert([str(source), "--to", str(tmp_path / "model")])
    convert([str(tmp_path / "model"), "--to", str(tmp_path / "again.pt")])
    layout = record(golden, "checkpoint_layout")
    again = read_pickle(tmp_path / "again.pt")
    assert again.keys() == layout.keys() - {"last_optimizer_state"}
    assert len(again["model"]) == layout["model"]["n_keys"]
    assert again["cfg"] == read_pickle(source)["cfg"]


@pytest.mark.parametrize("arrays", [False, True])
def test_vision_only_there_and_back(golden, tmp_path, arrays):
    branch = vision_only(official_model(golden, "pretrain_3modal"))
    source = vision_file(tmp_path / "vision.pkl", branch, arrays)
    convert([str(source), "--to", str(tmp_path / "model")])
    convert([str(tmp_path / "model"), "--to", str(tmp_path / "again.pkl")])
    same(branch, read_pickle(tmp_path / "again.pkl")["model"])


def test_vision_only_from_a_whole_model(golden, tmp_path):
    official = official_model(golden, "pretrain_3modal")
    convert([str(write(tmp_path / "official.pt", golden, official)), "--to", str(tmp_path / "model")])
    convert([str(tmp_path / "model"), "--to", str(tmp_path / "vision.pkl")])
    same(vision_only(official), read_pickle(tmp_path / "vision.pkl")["model"])


def test_stand_alone_classifier_of_pictures_keeps_its_head(golden, tmp_path):
    pretrained = vision_only(official_model(golden, "pretrain_3modal"))
    state = {
        n: t for n, t in pretrained.items() if not n.endswith(("position_idx", "rel_pos_table_list.0.weight"))
    }
    state["image_adapter.rel_pos_table.weight"] = pretrained["image_adapter.rel_pos_table_list.0.weight"]
    head = tensors(golden, "vision_branch")
    state |= {n.removeprefix("state."): t for n, t in head.items() if n.startswith("state.")}
    convert([str(vision_file(tmp_path / "vision.pkl", state)), "--to", str(tmp_path / "model")])
    kept = load_file(tmp_path / "model" / "extra.safetensors")
    assert {"fc_norm.weight", "head.bias"} <= kept.keys()
    convert([str(tmp_path / "model"), "--to", str(tmp_path / "again.pkl")])
    again = read_pickle(tmp_path / "again.pkl")["model"]
    table = again.pop("image_adapter.rel_pos_table_list.0.weight")  # the file's older name for it
    same(state, again | {"image_adapter.rel_pos_table.weight": table})


def test_half_precision_and_wrappers(golden, tmp_path, capsys):
    official = official_model(golden, "pretrain_3modal")
    half = {
        f"module.{name}": tensor.bfloat16() if tensor.is_floating_point() else tensor
        for name, tensor in official.items()
    }
    convert([str(write(tmp_path / "half.pt", golden, half)), "--to", str(tmp_path / "model")])
    assert "bfloat16 became float32" in capsys.readouterr().out
    weights = load_file(tmp_path / "model" / "model.safetensors")
    assert {t.dtype for t in weights.values()} == {torch.float32}
    convert([str(tmp_path / "model"), "--to", str(tmp_path / "again.pt"), "--dtype", "bfloat16"])
    again = read_pickle(tmp_path / "again.pt")["model"]
    for name in official:
        if "version" not in name:
            assert torch.equal(again[name], half[f"module.{name}"]), name


@torch.no_grad()
def test_the_folder_gives_the_numbers_of_the_embedding_interface(golden, tmp_path):
    official = official_model(golden, "embedding_interface_val")
    source = write(tmp_path / "one-peace.pt", golden, official, "embedding_interface_val")
    convert([str(source), "--to", str(tmp_path / "model")])
    model = OnePeace.from_pretrained(tmp_path / "model", device="cpu")
    expected = tensors(golden, "features")
    model.backbone.encoder.adapter("audio").hide_padding = False
    vectors = model.backbone.embed(vision_language(golden)[0])
    vectors["audio"] = model.backbone.embed({"audio": audio_language(golden)[0]["audio"]})["audio"]
    for name, vector in vectors.items():
        assert (vector - expected[f"{name}.proj"]).abs().max() <= 2e-6


@pytest.mark.filterwarnings("ignore:.*were cut")
def test_pictures_and_sounds_reach_the_model_as_the_embedding_interface_prepares_them(golden, tmp_path):
    official = official_model(golden, "embedding_interface_val")
    source = write(tmp_path / "one-peace.pt", golden, official)
    convert([str(source), "--to", str(tmp_path / "model")])
    model = OnePeace.from_pretrained(tmp_path / "model", device="cpu")
    pixels, waves = tensors(golden / "preprocess", "images"), tensors(golden / "preprocess", "audio")
    pictures, size = record(golden / "preprocess", "meta")["images"], model.processors["image"].size
    made = model.encode(image=[golden / "preprocess" / f"{name}.png" for name in pictures])
    values = torch.stack([pixels[f"{name}.square_{size}"] for name in pictures])
    assert (made - model.backbone.embed({"image": ModalityInput(values)})["image"]).abs().max() <= 2e-6
    for name in ("short", "mid"):
        made = model.encode(audio=golden / "preprocess" / f"{name}.wav")
        wave = waves[f"{name}.dataset_15s"][None]
        assert (made - model.backbone.embed({"audio": ModalityInput(wave)})["audio"][0]).abs().max() <= 2e-5


@torch.no_grad()
def test_fine_tuned_retrieval_numbers(golden, tmp_path):
    inputs = fine_tuning_inputs(golden)
    for model, file, names in (
        ("image_text_retrieval", "retrieval_image_text", ("text", "image")),
        ("audio_text_retrieval", "retrieval_audio_text", ("text", "audio")),
    ):
        source = write(tmp_path / f"{model}.pt", golden, official_model(golden, model, file))
        convert([str(source), "--to", str(tmp_path / model)])
        backbone = OnePeace.from_pretrained(tmp_path / model, device="cpu").backbone
        assert backbone.config.bias_per_layer
        if "audio" in names:
            backbone.encoder.adapter("audio").hide_padding = False
        expected = tensors(golden, f"{file}")
        for name, vector in backbone.embed({name: inputs[name] for name in names}).items():
            assert (vector - expected[f"{name}_proj"]).abs().max() <= 2e-6, name


@torch.no_grad()
def test_enlarging_for_larger_pictures(golden, tmp_path, capsys):
    """From the official file and by way of the folder; every table of a fine-tuned model too."""
    expected = tensors(golden, "interpolation")
    image = fine_tuning_inputs(golden)["image"]
    size = image.values.shape[-1]
    source = write(tmp_path / "one-peace.pt", golden, official_model(golden, "embedding_interface_val"))
    convert([str(source), "--to", str(tmp_path / "direct"), "--image-size", str(size)])
    convert([str(source), "--to", str(tmp_path / "small")])
    convert([str(tmp_path / "small"), "--to", str(tmp_path / "later"), "--image-size", str(size)])
    for folder in ("direct", "later"):
        model = OnePeace.from_pretrained(tmp_path / folder, device="cpu")
        assert model.processors["image"].size == size
        vector = model.backbone.embed({"image": image})["image"]
        assert (vector - expected["after_load.image_proj"]).abs().max() <= 2e-6
    capsys.readouterr()
    tuned = official_model(golden, "image_text_retrieval", "retrieval_image_text")
    convert(
        [
            str(write(tmp_path / "tuned.pt", golden, tuned)),
            "--to",
            str(tmp_path / "big"),
            "--image-size",
            str(size + 2 * PATCH),
        ]
    )
    depth, side = transformer(golden).depth, size // PATCH + 2
    assert f"{depth} resized" in capsys.readouterr().out
    tables = load_file(tmp_path / "big" / "model.safetensors")
    for layer in range(depth):
        table = tables[f"encoder.adapters.image.bias.tables.{layer}"]
        stored = tuned[f"encoder_wrapper.image_adapter.rel_pos_table_list.{layer}.weight"]
        assert table.shape == ((2 * side - 1) ** 2 + 3, stored.shape[1])
        assert torch.equal(table[-3:], stored[-3:])
        middle, centre = len(table[:-3]) // 2, len(stored[:-3]) // 2
        assert (table[middle] - stored[centre]).abs().max() <= 1e-5  # no offset stays no offset
        assert not torch.equal(table, tables[f"encoder.adapters.image.bias.tables.{(layer + 1) % depth}"])


def test_a_pretraining_file_cut_down_by_kind(golden, tmp_path, capsys):
    official = official_model(golden, "pretrain_3modal")
    source = write(tmp_path / "official.pt", golden, official)
    convert([str(source), "--to", str(tmp_path / "model"), "--checkpoint-format", "retrieval"])
    assert "dropped as asked" in capsys.readouterr().out
    convert([str(tmp_path / "model"), "--to", str(tmp_path / "again.pt")])
    same(official_model(golden, "embedding_interface_val"), read_pickle(tmp_path / "again.pt")["model"])


def test_random_projections_are_told(golden, tmp_path):
    official = official_model(golden, "classify_image", "classify_image")
    convert([str(write(tmp_path / "official.pt", golden, official)), "--to", str(tmp_path / "model")])
    with pytest.warns(UserWarning, match="projection of image is random"):
        OnePeace.from_pretrained(tmp_path / "model", device="cpu")
    assert "random" in (tmp_path / "model" / "README.md").read_text()


def test_released_sizes_count_as_published():
    from onepeace_pl.backbone import from_preset
    from onepeace_pl.checkpoints.account import RELEASED
    from onepeace_pl.checkpoints.names import to_official

    with torch.device("meta"):
        official = to_official(from_preset("4b", decoder=False).state_dict())
    assert "three modalities" in RELEASED[sum(t.numel() for t in official.values())]
    assert "vision only" in RELEASED[sum(t.numel() for t in vision_only(official).values())]


def test_other_buckets_are_refused(golden, tmp_path):
    official = official_model(golden, "embedding_interface_val")
    official["encoder_wrapper.text_adapter.rp_bucket"][3, 5] += 1
    with pytest.raises(ValueError, match=r"text_adapter\.rp_bucket assigns other buckets"):
        convert([str(write(tmp_path / "official.pt", golden, official)), "--to", str(tmp_path / "model")])
    assert not (tmp_path / "model").exists()


def test_weights_without_buffers_and_older_names(golden, tmp_path):
    official = tensors(golden, "pretrain_state")
    older = {
        name.replace(".self_attn_layer_norm.", ".layer_norms.0.")
        .replace(".final_layer_norm.", ".layer_norms.1.")
        .replace(".rel_pos_table_list.0.", ".rel_pos_table."): tensor
        for name, tensor in official.items()
    }
    assert older.keys() != official.keys()
    torch.save({"model": older}, tmp_path / "older.pt")
    convert([str(tmp_path / "older.pt"), "--to", str(tmp_path / "model")])
    convert([str(tmp_path / "model"), "--to", str(tmp_path / "again.pt")])
    again = read_pickle(tmp_path / "again.pt")["model"]
    same(official_model(golden, "pretrain_3modal"), again)


def test_a_saved_embedder_is_the_same_folder(golden, tmp_path):
    official = official_model(golden, "classify_nlvr2", "classify_nlvr2")
    convert([str(write(tmp_path / "official.pt", golden, official)), "--to", str(tmp_path / "model")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        OnePeace.from_pretrained(tmp_path / "model", device="cpu").save_pretrained(tmp_path / "copy")
    for name in ("config.json", "model.safetensors", "extra.safetensors", "README.md"):
        assert (tmp_path / "copy" / name).read_bytes() == (tmp_path / "model" / name).read_bytes(), name


def test_missing_layer_part_is_named(golden, tmp_path):
    official = official_model(golden, "embedding_interface_val")
    del official["encoder_wrapper.fusion_model.layers.1.text_ffn.3.bias"]
    with pytest.raises(ValueError, match=r"blocks\.1\.feed_forward\.text\.contract\.bias is missing"):
        convert([str(write(tmp_path / "official.pt", golden, official)), "--to", str(tmp_path / "model")])


def test_official_names_in_safetensors(golden, tmp_path):
    source = tmp_path / "pretrain_state.safetensors"
    save_file(tensors(golden, "pretrain_state"), source)
    convert([str(source), "--to", str(tmp_path / "model")])
    convert([str(tmp_path / "model"), "--to", str(tmp_path / "again.pt")])
    same(official_model(golden, "pretrain_3modal"), read_pickle(tmp_path / "again.pt")["model"])
