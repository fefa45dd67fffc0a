from functools import partial

import pytest
import torch
from torch import nn

from onepeace_pl.optim import build_optimizer, parameter_groups


class Table(nn.Module):
    no_weight_decay = frozenset({"table", "spare"})

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.ones(3, 2))
        self.words = nn.Parameter(torch.ones(3, 2))
        self.register_parameter("spare", None)


class Stack(nn.Module):
    depth = 2

    def __init__(self) -> None:
        super().__init__()
        self.embed = Table()
        self.blocks = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
        self.last = nn.LayerNorm(2)

    def layer_of(self, name: str) -> int:
        parts = name.split(".")
        return {"embed": 0, "blocks": int(parts[1]) + 1 if parts[1].isdigit() else 0}.get(parts[0], 3)


class Task(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = Stack()
        self.head = nn.Linear(2, 4)
        self.bias = nn.Parameter(torch.ones(2, 2))  # a bias by name, though not by shape


def by_name(model: nn.Module, layer_decay: float = 1.0) -> dict[str, tuple[float, bool]]:
    """Name of each parameter in a group -> scale of its rate, whether it decays."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: (group["lr_scale"], "weight_decay" not in group)
        for group in parameter_groups(model, layer_decay)
        for p in group["params"]
    }


def test_who_decays() -> None:
    model = Task()
    found = {name: decays for name, (_, decays) in by_name(model).items()}
    assert found == {
        "backbone.embed.table": False,
        "backbone.embed.words": True,
        "backbone.blocks.0.weight": True,
        "backbone.blocks.0.bias": False,
        "backbone.blocks.1.weight": True,
        "backbone.blocks.1.bias": False,
        "backbone.last.weight": False,
        "backbone.last.bias": False,
        "head.weight": True,
        "head.bias": False,
        "bias": False,
    }
    assert len(parameter_groups(model)) == 2


def test_layers_learn_slower_the_deeper_they_lie() -> None:
    found = {name: scale for name, (scale, _) in by_name(Task(), 0.9).items()}
    assert found["backbone.embed.words"] == pytest.approx(0.9**3)
    assert found["backbone.embed.table"] == pytest.approx(0.9**3)
    assert found["backbone.blocks.0.weight"] == pytest.approx(0.9**2)
    assert found["backbone.blocks.1.bias"] == pytest.approx(0.9)
    assert found["backbone.last.weight"] == 1
    assert found["head.weight"] == 1


def test_a_layered_model_needs_no_parent() -> None:
    assert by_name(Stack(), 0.5)["blocks.1.weight"] == (0.5, True)


def test_frozen_parameters_are_in_no_group() -> None:
    model = Task()
    model.backbone.requires_grad_(False)
    assert set(by_name(model)) == {"head.weight", "head.bias", "bias"}


def test_a_module_may_learn_at_a_share_of_the_rate() -> None:
    model = Task()
    model.head.lr_scale = 0.5  # type: ignore[assignment]
    model.backbone.lr_scale = 0.1
    model.backbone.blocks[0].lr_scale = 0.2  # type: ignore[assignment]
    found = {name: scale for name, (scale, _) in by_name(model).items()}
    assert found["head.weight"] == found["head.bias"] == 0.5
    assert found["bias"] == 1
    assert found["backbone.blocks.1.weight"] == pytest.approx(0.1)
    assert found["backbone.blocks.0.weight"] == pytest.approx(0.1 * 0.2)
    layered = {name: scale for name, (scale, _) in by_name(model, 0.9).items()}
    assert layered["backbone.blocks.0.weight"] == pytest.approx(0.1 * 0.2 * 0.9**2)
    assert by_name(model.head)["weight"] == (0.5, True)
    model.head.lr_scale = 0  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"Linear\.lr_scale must be positive"):
        parameter_groups(model)


@pytest.mark.parametrize("layer_decay", [0.9, 1.0])
def test_group_names_differ(layer_decay: float) -> None:
    model = Task()
    model.head.lr_scale = 0.5  # type: ignore[assignment]
    groups = parameter_groups(model, layer_decay)
    assert len({group["name"] for group in groups}) == len(groups)


def test_optimizer_gets_scaled_rates_and_keeps_its_own_decay() -> None:
    model = Task()
    built = build_optimizer(model, partial(torch.optim.AdamW, lr=1e-3, weight_decay=0.05), 0.9)
    for group in built.param_groups:
        assert group["lr"] == pytest.approx(1e-3 * group["lr_scale"])
        assert group["weight_decay"] == (0.0 if group["name"].endswith("no-decay") else 0.05)
    assert sum(len(group["params"]) for group in built.param_groups) == len(list(model.parameters()))


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"1\.5"):
        parameter_groups(Task(), 1.5)
    with pytest.raises(ValueError, match="no parameter"):
        parameter_groups(Task().requires_grad_(False))
    model = Task()
    model.head.no_weight_decay = frozenset({"wieght"})  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"Linear.no_weight_decay names 'wieght'"):
        parameter_groups(model)
