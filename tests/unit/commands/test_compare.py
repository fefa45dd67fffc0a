"""compare: says bit for bit what a stage left as it was."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from onepeace_pl.backbone import Backbone, from_preset
from onepeace_pl.checkpoints.comparison import _random_inputs, compare_jointly, compare_vectors, same_bits
from onepeace_pl.checkpoints.head import save_head
from onepeace_pl.cli import main as cli
from onepeace_pl.hub import save_folder
from onepeace_pl.hub.reading import read_by
from onepeace_pl.modalities import ImageProcessor, TextProcessor
from onepeace_pl.modalities.text.tokenizer import Tokenizer
from tests.unit.samples import ADAPTERS, Touch, make


@pytest.fixture
def folders(tmp_path):
    torch.manual_seed(0)
    old = from_preset("debug", ["text", "image"])
    new = from_preset("debug", ["text", "image", "audio"])
    state = new.state_dict() | old.state_dict()
    new.load_state_dict(state)
    save_folder("old", old, {})
    save_folder("new", new, {})


def alter(name: str, by: float = 1e-6) -> None:
    state = load_file("new/model.safetensors")
    state = {n: t.clone() for n, t in state.items()}
    state[name].view(-1)[0] += by
    save_file(state, "new/model.safetensors", {"format": "pt"})


def test_an_extension_left_the_rest_as_it_was(folders, capsys):
    assert cli(["compare", "old", "new", "--expect-equal", "text,image"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("bitwise equal") == 3  # each, and both together
    assert "only in FOLDER_B" in printed


@pytest.mark.parametrize(
    ("name", "differ"),
    [
        ("encoder.transformer.norms.text.bias", ["text"]),
        ("encoder.transformer.blocks.0.attention_norm.shared.bias", ["text", "image"]),
        ("decoder.adapters.text.mask_token", []),
    ],
)
def test_the_smallest_change_is_found(folders, capsys, name, differ):
    alter(name, 1e-3)
    assert cli(["compare", "old", "new"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("differ by up to") == len(differ)
    assert f"changed: {name}" in printed
    for modality in ("text", "image"):
        code = cli(["compare", "old", "new", "--expect-equal", modality])
        assert code == (1 if modality in differ else 0)


def test_a_modality_that_is_not_shared(folders, capsys):
    assert cli(["compare", "old", "new", "--expect-equal", "audio"]) == 2
    assert "do not share it; shared are: text, image" in capsys.readouterr().err


def test_models_that_take_other_inputs(folders):

    a = from_preset("debug", ["image"])
    config = a.to_config()
    config["adapters"]["image"]["init_args"]["image_size"] = 96
    found = compare_vectors(a, Backbone.from_config(config))["image"]
    assert found.equal is None
    assert "other inputs" in found.why_not


def change(folder: str, name: str) -> None:
    path = Path(folder, "model.safetensors")
    state = {n: t.clone() for n, t in load_file(path).items()}
    with torch.no_grad():
        state[name].view(-1)[-1] += 1e-3
    save_file(state, path, {"format": "pt"})


def whole(place: str, **options: Any) -> None:
    """Write a model of two of the paper's modalities and a plug-in, with preprocessing."""
    backbone = make(("text", "image", "touch"), decoder=False)
    processors = {
        "text": TextProcessor(Tokenizer.train(["a b c d"] * 3, options.pop("vocabulary", 270)), 9),
        "image": ImageProcessor(64, **options),
    }
    save_folder(place, backbone, processors)


def equal(*names: str) -> int:
    return cli(["compare", "a", "b", "--expect-equal", ",".join(names)])


def test_every_parameter_that_a_modality_reads_counts(capsys):
    whole("a")
    modalities = ["text", "image", "touch"]
    names = list(load_file("a/model.safetensors"))
    for at, name in enumerate(names):
        for modality in modalities:
            reads = read_by(name, modality, modalities)
            owners = [m for m in modalities if f".{m}." in f"{name}."]
            assert reads == (name != "logit_scale" and owners in ([], [modality])), (name, modality)
        if at % 40 == 0 or "token_table" in name or "logit" in name:
            whole("b")
            change("b", name)
            for modality in modalities:
                assert equal(modality) == int(read_by(name, modality, modalities)), (name, modality)
    capsys.readouterr()


def test_a_token_that_no_random_input_has(capsys):
    whole("a")
    whole("b")
    change("b", "encoder.adapters.text.token_table")
    assert equal("text") == 1
    printed = capsys.readouterr().out
    assert (
        "embeddings equal, but not all that they depend on; 1 differ: encoder.adapters.text.token_table"
        in printed
    )
    assert equal("image", "touch") == 0


@pytest.mark.parametrize(
    ("options", "modality", "what"),
    [
        ({"vocabulary": 262}, "text", "tokenizer"),
        ({"fit": "centre_crop"}, "image", "processor's fit"),
        ({"train_flip": 0.5}, "", ""),
    ],
)
def test_preprocessing_counts(options, modality, what, capsys):
    whole("a")
    whole("b", **options)
    for name in ("text", "image", "touch"):
        assert equal(name) == int(name == modality)
        assert not what or (f"differ: {what}" in capsys.readouterr().out)


def test_heads_count(capsys):
    whole("a")
    whole("b")
    for place, classes in (("a", ["x", "y"]), ("b", ["y", "x"])):
        save_head(Path(place), {"w": torch.ones(2)}, {"data_info": {"classes": classes}})
    assert equal("image") == 1
    assert "head: other classes or options (task.json)" in capsys.readouterr().out
    save_head(Path("b"), {"w": torch.zeros(2)}, {"data_info": {"classes": ["x", "y"]}})
    assert equal("image") == 1
    assert "head: task.w changed" in capsys.readouterr().out
    save_head(Path("b"), {}, {})
    assert equal("image") == 1
    assert "head: task.w only in A" in capsys.readouterr().out


class Sounding(Touch):
    def random_values(self, batch: int, generator: torch.Generator, share: float = 1.0) -> torch.Tensor:
        return torch.randn(batch, round(12 * share), 3, generator=generator)


class Late(Sounding):
    """Is another one behind the sixth token."""

    def stem(self, values: torch.Tensor) -> torch.Tensor:
        return torch.cat([super().stem(values[:, :6]), 2 * super().stem(values[:, 6:])], dim=1)


def test_plug_ins_are_embedded_at_several_lengths():
    a, b = (
        make(("text",), adapters={"text": ADAPTERS["text"], "touch": kind}).eval()
        for kind in (Sounding, Late)
    )
    b.load_state_dict(a.state_dict())
    found = compare_vectors(a, b)
    assert found["text"].equal is True
    assert found["touch"].equal is False
    assert compare_vectors(a, a)["touch"].equal is True
    assert compare_jointly(a, a, ["text", "touch"]).equal is True
    assert compare_jointly(a, b, ["text", "touch"]).equal is False
    shapes = [(x.values.shape[1], x.padding is not None) for x in _random_inputs(a, "touch", 0, 2)]
    assert shapes == [(3, False), (6, False), (12, False), (12, True)]


def test_bits_not_values():
    nan = torch.tensor([float("nan")])
    assert same_bits(nan, nan.clone())
    assert not same_bits(torch.tensor([0.0]), torch.tensor([-0.0]))
    assert not same_bits(torch.zeros(2), torch.zeros(2, dtype=torch.float16))
