"""The commands of docs/guide/checkpoints.md run, in their order, on a small model named like the released files."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from onepeace_pl.backbone import from_preset
from onepeace_pl.checkpoints.names import official_buffers, to_official, vision_only
from onepeace_pl.checkpoints.preprocessing import released_processors
from onepeace_pl.cli import main as cli
from onepeace_pl.hub import save_folder
from onepeace_pl.modalities.text.tokenizer import Tokenizer
from tests.configs.pages import blocks, commands

PAGE = "docs/guide/checkpoints.md"


def _files() -> None:
    torch.manual_seed(0)
    backbone = from_preset("debug", decoder=False)
    official = to_official(backbone.state_dict()) | official_buffers(backbone)
    torch.save({"model": official}, "one-peace.pt")
    torch.save({"model": vision_only(official)}, "one-peace-vision.pkl")
    head = {
        "classify_head.norm.weight": torch.ones(32),
        "classify_head.classifier.3.weight": torch.ones(9, 64),
    }
    tuned = {name: t for name, t in official.items() if "_proj." not in name or "self_attn" in name}
    torch.save({"model": tuned | head}, "finetune_vqa.pt")
    tokenizer = Tokenizer.train(["a dog barks in the snow", "a cat", "rain"] * 3, 300)
    tokenizer.save("bpe")
    os.makedirs("runs/quickstart/checkpoints")
    save_folder("runs/quickstart/model", backbone, released_processors(backbone, tokenizer))
    state = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    config = {"class_path": "onepeace_pl.backbone.Backbone", "init_args": backbone.to_config()}
    torch.save(
        {"state_dict": state, "hyper_parameters": {"backbone": config}},
        "runs/quickstart/checkpoints/last.ckpt",
    )
    for name in ("a.png", "b.png"):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)).save(name)


@pytest.mark.filterwarnings("ignore:.*projection of")
def test_every_command_and_the_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _files()
    listed = commands(PAGE)
    assert len(listed) == 12
    for words in listed:
        assert cli(words) == 0, words
    embedding, classification = blocks(PAGE, "python")
    exec(embedding + classification, found := {})
    assert found["result"].probabilities.shape == (2, 2)
    assert found["both"].shape == (1, 32)
    assert found["text"].shape == (2, 32)
    # what went there and back is what it was
    again = torch.load("back/finetune_vqa.pt", weights_only=True)["model"]
    once = torch.load("finetune_vqa.pt", weights_only=True)["model"]
    assert again.keys() == once.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in once.items())
