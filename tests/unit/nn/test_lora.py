"""LoRA: zero at first, then a low-rank correction, merged into the weight in the end."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.attention import FusedProjection
from onepeace_pl.nn.feed_forward import GatedFeedForward
from onepeace_pl.nn.lora import LoRA, adapt, add_lora, merge_lora

CONFIG = TransformerConfig(width=16, depth=1, heads=2, feed_forward=24, init_std=0.3)
X = torch.randn(5, 16, generator=torch.Generator().manual_seed(3))
KINDS = [
    lambda: nn.Linear(16, 12),
    lambda: nn.Linear(16, 12, bias=False),
    lambda: FusedProjection(CONFIG),
    lambda: GatedFeedForward(CONFIG),
]


def learnt(module: nn.Module) -> nn.Module:
    """Give every adapter, and every bias, values as after training."""
    torch.manual_seed(1)
    for name, parameter in module.named_parameters():
        if name.endswith(("lora_B", "bias")):
            nn.init.normal_(parameter, std=0.5)
    return module


@pytest.mark.parametrize("make", KINDS)
def test_a_fresh_adapter_changes_nothing(make) -> None:
    torch.manual_seed(0)
    module = learnt(make())
    names, before = set(module.state_dict()), module(X)
    layers = add_lora(nn.ModuleDict({"it": module}), ["it"], 3, 2.0)
    torch.testing.assert_close(module(X), before, rtol=0, atol=1e-6)
    added = set(module.state_dict()) - names
    assert names <= set(module.state_dict())  # what was there keeps its name
    assert len(added) == 2 * len(layers)


@pytest.mark.parametrize("make", KINDS)
def test_merging_leaves_outputs_and_names_as_they_were(make) -> None:
    torch.manual_seed(0)
    module = make()
    names = list(module.state_dict())
    add_lora(nn.ModuleDict({"it": module}), ["it"], 3, 0.7)
    learnt(module)
    with torch.no_grad():
        adapted, folded = module(X), merge_lora(module.state_dict(), 0.7)
        for layer in module.modules():
            if isinstance(layer, LoRA):
                layer.merge()
                assert type(layer) in (nn.Linear, FusedProjection)
        assert list(module.state_dict()) == names
        torch.testing.assert_close(module(X), adapted, rtol=0, atol=1e-6)
        assert all(torch.equal(folded[name], t) for name, t in module.state_dict().items())
        module.load_state_dict(folded)


def test_the_formula() -> None:
    layer = adapt(nn.Linear(16, 12), 3, 0.5)
    learnt(layer)
    wanted = F.linear(X, layer.weight, layer.bias) + 0.5 * X @ layer.lora_A.T @ layer.lora_B.T
    torch.testing.assert_close(layer(X), wanted)
    layer.dropout = 0.5
    assert not torch.equal(layer(X), layer(X))
    torch.testing.assert_close(layer.eval()(X), wanted)


def test_a_feed_forward_sees_the_adapter_of_its_way_in() -> None:
    module = GatedFeedForward(CONFIG)
    adapt(module.expand, 3, 0.5)
    learnt(module)
    whole = module.expand.weight + 0.5 * module.expand.lora_B @ module.expand.lora_A
    gate, value = F.linear(X, whole).chunk(2, dim=-1)
    wanted = module.contract(module.norm(F.gelu(gate) * value))
    torch.testing.assert_close(module(X), wanted, rtol=1e-5, atol=1e-5)
    module(X).sum().backward()
    assert module.expand.lora_A.grad.abs().sum() > 0
    # a layer that somebody else has put there is called, not looked through
    module.expand = nn.Sequential(nn.Linear(16, 48, bias=False))
    assert module(X).shape == X.shape


def test_memory_can_come_later() -> None:
    with torch.device("meta"):
        layer = adapt(FusedProjection(CONFIG), 3)
    assert layer.lora_A.is_meta
    layer.to_empty(device="cpu")
    layer.reset_parameters()
    assert layer.lora_A.abs().max() > 0
    assert not layer.lora_B.any()
    assert not layer.query_bias.any()
    assert layer.weight.abs().max() <= CONFIG.init_std


def test_targets_are_stretches_of_names() -> None:
    blocks = nn.ModuleList(
        nn.ModuleDict({"attention": FusedProjection(CONFIG), "feed_forward": GatedFeedForward(CONFIG)})
        for _ in range(2)
    )
    assert add_lora(blocks, ["attention", "1.feed_forward.contract"], 2) == [
        "0.attention",
        "1.attention",
        "1.feed_forward.contract",
    ]
    with pytest.raises(
        ValueError, match="target 'atention' of lora names no layer; did you mean 'attention'"
    ):
        add_lora(blocks, ["atention"], 2)
    with pytest.raises(
        ValueError, match=r"there are attention, feed_forward\.expand, feed_forward\.contract"
    ):
        add_lora(blocks, ["attention", "xyz"], 2)


def test_half_precision_is_folded_in_single() -> None:
    layer = adapt(nn.Linear(16, 12).to(torch.bfloat16), 3)
    assert layer.lora_A.dtype == torch.bfloat16
    learnt(layer)
    wanted = layer.weight.float() + layer.lora_B.float() @ layer.lora_A.float()
    layer.merge()
    assert torch.equal(layer.weight, wanted.to(torch.bfloat16))
