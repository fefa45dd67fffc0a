"""``convert``: errors, run checkpoints, tokenizers. Official numbers: tests/parity/test_convert.py."""

import os
import pickle
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml

from onepeace_pl import OnePeace
from onepeace_pl.backbone import from_preset
from onepeace_pl.checkpoints.head import head_of_folder, load_head, save_head
from onepeace_pl.checkpoints.heads import head_to_official
from onepeace_pl.checkpoints.names import official_buffers, to_official
from onepeace_pl.checkpoints.pickles import read_pickle
from onepeace_pl.cli import main as cli
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.hub import save_folder
from onepeace_pl.modalities import ImageProcessor, TextProcessor
from onepeace_pl.modalities.text.tokenizer import Tokenizer
from onepeace_pl.tasks.classification import Classification
from onepeace_pl.tasks.video import VideoClassification


def official(decoder: bool = True) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    backbone = from_preset("debug", decoder=decoder)
    return to_official(backbone.state_dict()) | official_buffers(backbone)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    torch.save({"model": official()}, tmp_path / "official.pt")
    return tmp_path / "official.pt"


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert cli(["convert", *map(str, words)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_account_of_every_key(source, capsys):
    state = torch.load(source)["model"] | {"new_head.weight": torch.ones(3)}
    del state["logit_scale"]
    torch.save({"model": state}, source)
    assert cli(["convert", str(source), "--to", "m", "--verbose"]) == 0
    printed = capsys.readouterr().out
    assert f"pretrain, {len(state)} keys" in printed
    assert "1 made new\n    logit_scale" in printed
    assert "1 left over, kept in extra.safetensors\n    new_head.weight" in printed
    assert "encoder_wrapper.text_adapter.rp_bucket" in printed
    assert "no tokenizer for text" in printed
    cli(["convert", "m", "--to", "again.pt"])
    again = read_pickle(Path("again.pt"))["model"]
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in state.items())


def test_made_new_is_the_same_every_time(source):
    state = torch.load(source)["model"]
    for name in ("text_proj.weight", "text_proj.bias", "logit_scale"):
        del state[name]
    torch.save({"model": state}, source)
    cli(["convert", str(source), "--to", "a"])
    torch.manual_seed(5)
    cli(["convert", str(source), "--to", "b"])
    assert Path("a/model.safetensors").read_bytes() == Path("b/model.safetensors").read_bytes()


def test_every_format_refuses_code(capsys, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "victim"),)

    content = {"model": {"a": torch.zeros(1), "b": Evil()}}
    torch.save(content, "zip.pt")
    torch.save(content, "old.pt", _use_new_zipfile_serialization=False)
    Path("plain.pkl").write_bytes(pickle.dumps(content))
    Path("last.ckpt").write_bytes(Path("zip.pt").read_bytes())
    for file in ("zip.pt", "old.pt", "plain.pkl", "last.ckpt"):
        assert "a pickle can run code" in refused(capsys, file, "--to", "m")
        assert not (tmp_path / "victim").exists()
        assert not Path("m").exists()


def test_wrong_files(capsys, tmp_path, source):
    assert "no file or folder nothing.pt" in refused(capsys, "nothing.pt", "--to", "m")
    Path("text.pt").write_text("hello")
    assert "text.pt is damaged, or no checkpoint" in refused(capsys, "text.pt", "--to", "m")
    torch.save({"model": {"a": torch.ones(2)}}, "other.pt")
    assert "other.pt: no text, image or audio adapter" in refused(capsys, "other.pt", "--to", "m")
    torch.save({"epoch": 3}, "empty.pt")
    assert "holds no tensors" in refused(capsys, "empty.pt", "--to", "m")
    os.mkdir("folder")
    assert "no config.json in folder" in refused(capsys, "folder", "--to", "m")
    state = official()
    state["encoder_wrapper.fusion_model.layers.1.gamma_1"] = torch.ones(7)
    torch.save({"model": state}, "sizes.pt")
    line = refused(capsys, "sizes.pt", "--to", "m")
    assert "blocks.1.attention_scale.gamma has shape (7,), the model wants (32,)" in line
    assert "preset 'tiny' 128" in refused(capsys, source, "--to", "m", "--preset", "tiny")
    assert "cannot shrink" in refused(capsys, source, "--to", "m", "--image-size", 32)
    assert "not a multiple of 16" in refused(capsys, source, "--to", "m", "--image-size", 100)
    assert "has no meaning" in refused(capsys, source, "--to", "m.pt", "--image-size", 96)
    assert "is no model folder" in refused(capsys, source, "--to", "m.pt")
    torch.save({"model": official(decoder=False)}, "small.pt")
    assert "which has no decoder" in refused(
        capsys, "small.pt", "--to", "m", "--checkpoint-format", "pretrain"
    )
    assert not Path("m").exists()


def test_nothing_is_overwritten_unasked(source, capsys):
    cli(["convert", str(source), "--to", "m"])
    assert "m/config.json exists already" in refused(capsys, source, "--to", "m")
    assert cli(["convert", str(source), "--to", "m", "--overwrite"]) == 0
    Path("x.pt").write_bytes(b"precious")
    assert "x.pt exists already" in refused(capsys, "m", "--to", "x.pt")
    assert Path("x.pt").read_bytes() == b"precious"
    assert "source and target" in refused(capsys, "m", "--to", "m", "--overwrite")


def test_a_tokenizer_larger_than_the_model_is_told(source, capsys, tmp_path):
    Tokenizer.train([f"word{i} {i * 7919}" for i in range(500)], 900).save(tmp_path / "t.json")
    cli(["convert", str(source), "--to", "m", "--bpe", "t.json"])
    assert "900 ids, the model 768" in capsys.readouterr().out
    assert OnePeace.from_pretrained("m", device="cpu").encode(text=["word1"]).shape == (1, 32)


def test_larger_pictures_in_a_folder(source):
    cli(["convert", str(source), "--to", "m"])
    cli(["convert", "m", "--to", "big", "--image-size", "96", "--dtype", "bfloat16"])
    model = OnePeace.from_pretrained("big", device="cpu")
    assert model.processors["image"].size == 96
    assert model.dtype == torch.bfloat16
    assert model.encode(image=[torch.rand(3, 40, 50)]).shape == (1, 32)


class Hyper(L.LightningModule):
    """Stands in for an experiment: what counts is the layout of its checkpoint."""

    def __init__(self, backbone: torch.nn.Module, described: dict | None) -> None:
        super().__init__()
        self.backbone, self.task = backbone, torch.nn.Linear(2, 3)
        if described is not None:
            self.save_hyperparameters({"backbone": described, "schedule": torch.nn.Identity})


def run_folder(tmp_path: Path, described: dict | None = None) -> tuple[Path, Hyper]:
    torch.manual_seed(0)
    backbone = from_preset("debug", ["text", "image"])
    config = (
        None if described is None else {"class_path": "onepeace_pl.backbone.Backbone", "init_args": described}
    )
    module = Hyper(backbone, config)
    state = {
        "state_dict": module.state_dict(),
        "hyper_parameters": {} if config is None else {"backbone": config},
        "matryoshka_dims": [32, 8],
        "PairsDataModule": {"tokenizers": {"text": Tokenizer.train(["a b c d"] * 3, 270).to_json()}},
    }
    checkpoint = tmp_path / "runs" / "x" / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    torch.save(state, checkpoint)
    return checkpoint, module


@pytest.mark.parametrize("with_config", [True, False])
def test_a_checkpoint_of_a_run(tmp_path, capsys, with_config):
    described = from_preset("debug", ["text", "image"]).to_config() | {"fuse": "joint"}
    checkpoint, module = run_folder(tmp_path, described if with_config else None)
    assert cli(["convert", str(checkpoint), "--to", "m"]) == 0
    assert ("sizes were deduced" in capsys.readouterr().out) != with_config
    model = OnePeace.from_pretrained("m", device="cpu")
    for name, tensor in module.backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], tensor), name
    assert model.encode(text=["a b"]).shape == (1, 32)  # the tokenizer was in the checkpoint
    assert model.backbone.fuse == ("joint" if with_config else "sum")
    assert model.backbone.matryoshka_dims == (32, 8)
    assert model._extra == {}
    head = head_of_folder(Path("m"))
    assert torch.equal(head.state["weight"], module.task.weight)
    assert head.state.keys() == {"weight", "bias"}


def test_preprocessing_of_a_run_is_taken_from_its_config(tmp_path, capsys):
    checkpoint, _ = run_folder(tmp_path)
    config = {
        "text": {
            "class_path": "onepeace_pl.modalities.TextProcessor",
            "init_args": {"max_tokens": 9},
        },
        "image": {
            "class_path": "onepeace_pl.modalities.ImageProcessor",
            "init_args": {"size": 64},
        },
    }
    run = checkpoint.parent.parent
    (run / "config.yaml").write_text(yaml.safe_dump({"data": {"init_args": {"processors": config}}}))
    cli(["convert", str(checkpoint), "--to", "m"])
    assert "config.yaml" in capsys.readouterr().out
    text = OnePeace.from_pretrained("m", device="cpu").processors["text"]
    assert isinstance(text, TextProcessor)
    assert (text.max_tokens, text.cleaning) == (9, "caption")
    assert text.tokenizer is not None
    model = OnePeace.from_pretrained("m", device="cpu")
    model.processors["image"] = ImageProcessor(64, fit="centre_crop")
    model.save_pretrained(run / "model")
    cli(["convert", str(checkpoint), "--to", "m2"])
    assert OnePeace.from_pretrained("m2", device="cpu").processors["image"].fit == "centre_crop"


DATA_INFO = DataInfo(("image",), None, ("cat", "dog", "horse"))


def fine_tuned(kind: type = Classification, **options: object) -> dict[str, torch.Tensor]:
    """Write a model folder with a head, as a run leaves it; return the head's weights."""
    torch.manual_seed(1)
    backbone = from_preset("debug", ["image"], decoder=False)
    task = kind(backbone, DATA_INFO, **options)
    save_folder("tuned", backbone, {"image": ImageProcessor(64)})
    path = f"{kind.__module__}.{kind.__qualname__}"
    save_head(
        Path("tuned"),
        task.state_dict(),
        {"class_path": path, "init_args": options, "data_info": DATA_INFO.to_config()},
    )
    return task.state_dict()


def test_a_folder_keeps_its_head(capsys):
    state = fine_tuned()
    assert cli(["convert", "tuned", "--to", "again"]) == 0
    assert f"head: {len(state)} tensors of Classification, 3 classes" in capsys.readouterr().out
    assert Path("again/task.json").read_bytes() == Path("tuned/task.json").read_bytes()
    assert Path("again/task.safetensors").read_bytes() == Path("tuned/task.safetensors").read_bytes()
    OnePeace.from_pretrained("again", device="cpu").save_pretrained("third")
    assert Path("third/task.safetensors").read_bytes() == Path("tuned/task.safetensors").read_bytes()
    cli(["convert", "tuned", "--to", "big", "--image-size", "96", "--dtype", "bfloat16"])
    assert {t.dtype for t in head_of_folder(Path("big")).state.values()} == {torch.bfloat16}
    save_folder("tuned", from_preset("debug", ["image"], decoder=False), {})
    assert not head_of_folder(Path("tuned")).state  # nothing of an older model stays


@pytest.mark.parametrize("pooling", ["attention", "cls", "mean"])
@pytest.mark.parametrize("ending", ["pt", "pkl"])
def test_a_head_goes_to_an_official_file_and_back(pooling, ending, capsys):
    state = fine_tuned(pooling=pooling)
    if ending == "pkl" and pooling != "mean":
        assert "vision-only file has no place for the head" in refused(capsys, "tuned", "--to", "x.pkl")
        assert not Path("x.pkl").exists()
        assert cli(["convert", "tuned", "--to", "x.pkl", "--drop-head"]) == 0
        return
    assert cli(["convert", "tuned", "--to", f"x.{ending}"]) == 0
    assert f"{len(state)} of them are the task's head" in capsys.readouterr().out
    found = read_pickle(Path(f"x.{ending}"))["model"]
    inner = {name.removeprefix("head."): tensor for name, tensor in state.items()}
    for name, tensor in head_to_official(inner).items():
        assert torch.equal(found[name], tensor), name
    cli(["convert", f"x.{ending}", "--to", "back"])
    task = Classification(from_preset("debug", ["image"], decoder=False), DATA_INFO, pooling=pooling)
    assert "names no classes" in load_head(task, "back", data_info=DATA_INFO)
    assert all(torch.equal(tensor, state[name]) for name, tensor in task.state_dict().items())


def test_a_head_without_official_names_is_refused(capsys):
    fine_tuned(VideoClassification, frames=2)
    line = refused(capsys, "tuned", "--to", "x.pt")
    assert "head of VideoClassification, for which official files have no names" in line
    assert "--drop-head" in line
    assert not Path("x.pt").exists()
    assert cli(["convert", "tuned", "--to", "x.pt", "--drop-head"]) == 0
    assert cli(["convert", "tuned", "--to", "again"]) == 0
    assert head_of_folder(Path("again")).state.keys() == head_of_folder(Path("tuned")).state.keys()


def test_the_head_of_a_runs_checkpoint(tmp_path, capsys):
    backbone = from_preset("debug", ["image"], decoder=False)
    task = Classification(backbone, DATA_INFO, pooling="mean")
    state = {f"backbone.{n}": t for n, t in backbone.state_dict().items()}
    state |= {f"task.{n}": t for n, t in task.state_dict().items()}
    config = {
        "class_path": "onepeace_pl.tasks.classification.Classification",
        "init_args": {"pooling": "mean"},
    }
    hyper = {
        "task": config,
        "data_info": {"modalities": ("image",), "vocabulary_size": None, "classes": DATA_INFO.classes},
    }
    torch.save({"state_dict": state, "hyper_parameters": hyper}, "best.ckpt")
    assert cli(["convert", "best.ckpt", "--to", "m", "--verbose"]) == 0
    printed = capsys.readouterr().out
    assert "4 of the task's head, kept in task.safetensors\n    head.linear.bias" in printed
    assert "left over" not in printed
    head = head_of_folder(Path("m"))
    assert head.config["data_info"]["classes"] == ["cat", "dog", "horse"]
    assert head.config["init_args"] == {"pooling": "mean"}
    again = Classification(from_preset("debug", ["image"], decoder=False), DATA_INFO, pooling="mean")
    assert load_head(again, "m", data_info=DATA_INFO) == "head: from m"
    assert all(torch.equal(tensor, task.state_dict()[name]) for name, tensor in again.state_dict().items())
    assert cli(["convert", "m", "--to", "back.pt"]) == 0
    assert torch.equal(read_pickle(Path("back.pt"))["model"]["head.weight"], task.head.linear.weight)
