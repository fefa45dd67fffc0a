"""Official modalities: presets, and adapters made again from their tensors alone."""

import pytest
import torch

from onepeace_pl.modalities import OFFICIAL
from onepeace_pl.modalities.official import Rename
from onepeace_pl.nn import TransformerConfig


def shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("preset", ["debug", "tiny", "4b"])
@pytest.mark.parametrize("name", OFFICIAL)
def test_arguments_are_deduced_from_tensors(name: str, preset: str) -> None:
    config = TransformerConfig(preset)
    with torch.device("meta"):
        adapter = OFFICIAL[name].factory(preset)(config)
        deduced = OFFICIAL[name].deduce(adapter.state_dict(), {}, config.width)
        again = OFFICIAL[name].adapter(config, **deduced)
    assert shapes(again) == shapes(adapter)
    arguments = adapter.to_config()["init_args"]
    assert {key: arguments[key] for key in deduced} == deduced


def test_unknown_preset() -> None:
    with pytest.raises(ValueError, match="no preset 'tinny'; did you mean 'tiny'"):
        OFFICIAL["text"].factory("tinny")


def test_renames_stack_and_add_axes() -> None:
    a, b = torch.ones(2, 3), torch.zeros(2, 3)
    stacked = Rename(("q", "k"), "qk")
    assert torch.equal(stacked.to_ours([a, b]), torch.cat([a, b]))
    assert [torch.equal(x, y) for x, y in zip(stacked.to_official(torch.cat([a, b]), 2), (a, b), strict=True)]
    assert Rename(("q",), "q", lead=2).to_official(a, 1)[0].shape == (1, 1, 2, 3)
    assert Rename(("q",), "q", lead=-1).to_official(torch.ones(1), 1)[0].shape == ()
    inner = Rename(("w.{x}",), "v.{x}", beside="z").within("old", "new")
    assert (inner.official, inner.ours, inner.beside) == (("old.w.{x}",), "new.v.{x}", "new.z")
    match = inner.patterns[1].match("new.v.bias")
    assert match is not None
    assert match["x"] == "bias"
    assert inner.patterns[1].match("new.v.bias.more") is None
