"""compare: says bit for bit what a stage left as it was."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from onepeace_pl.backbone import from_preset
from onepeace_pl.cli import main as cli
from onepeace_pl.hub import save_folder
from onepeace_pl.hub.comparison import compare_vectors, same_bits


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
    told = capsys.readouterr().out
    assert told.count("bitwise equal") == 2
    assert "only in FOLDER_B" in told


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
    told = capsys.readouterr().out
    assert told.count("differ by up to") == len(differ)
    assert f"changed: {name}" in told
    for modality in ("text", "image"):
        code = cli(["compare", "old", "new", "--expect-equal", modality])
        assert code == (1 if modality in differ else 0)


def test_a_modality_that_is_not_shared(folders, capsys):
    assert cli(["compare", "old", "new", "--expect-equal", "audio"]) == 2
    assert "do not share it; shared are: text, image" in capsys.readouterr().err


def test_models_that_take_other_inputs(folders):
    from onepeace_pl.backbone import build

    a = from_preset("debug", ["image"])
    told = a.describe()
    told["adapters"]["image"]["init_args"]["image_size"] = 96
    found = compare_vectors(a, build(told))["image"]
    assert found.equal is None
    assert "other inputs" in found.why_not


def test_bits_not_values():
    nan = torch.tensor([float("nan")])
    assert same_bits(nan, nan.clone())
    assert not same_bits(torch.tensor([0.0]), torch.tensor([-0.0]))
    assert not same_bits(torch.zeros(2), torch.zeros(2, dtype=torch.float16))
