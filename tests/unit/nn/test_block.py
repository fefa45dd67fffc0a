"""A block and its parts against their formulas, with every switch."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.nn import Segment, TokenSequence, TransformerConfig
from onepeace_pl.nn.attention import SelfAttention
from onepeace_pl.nn.fast.packing import Packing, pack, unpack
from onepeace_pl.nn.feed_forward import GatedFeedForward
from onepeace_pl.nn.transformer import Block

SIZES = {"width": 16, "depth": 2, "heads": 4, "feed_forward": 24}
NAMES = ("a", "b")
SEGMENTS = (Segment("a", 0, 3), Segment("b", 3, 7))


def config(**options: Any) -> TransformerConfig:
    return TransformerConfig(**SIZES, **options)


def shaken(module: nn.Module) -> nn.Module:
    """Every parameter different from its start."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return module


def norm(x: Tensor, layer: nn.Module) -> Tensor:
    assert isinstance(layer, nn.LayerNorm)
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
    return (x - mean) / (variance + 1e-5).sqrt() * layer.weight + layer.bias


def attention_formula(
    module: SelfAttention, x: Tensor, bias: Tensor | None, padding: Tensor | None, options: dict[str, Any]
) -> Tensor:
    """Head by head, as in the paper."""
    size, outputs = 4, []
    part = "shared" if options.get("share_attention", True) else None
    rows = [part or s.name for s in SEGMENTS for _ in range(s.start, s.stop)]
    q, k, v = [], [], []
    for i, row in enumerate(rows):
        project = module.project_in[row]
        wq, wk, wv = project.weight.chunk(3)
        q.append(x[:, i] @ wq.T + project.query_bias)
        k.append(x[:, i] @ wk.T)
        v.append(x[:, i] @ wv.T + project.value_bias)
    q, k, v = (torch.stack(rows, dim=1) for rows in (q, k, v))
    for head in range(4):
        mine = slice(head * size, (head + 1) * size)
        scores = q[..., mine] / math.sqrt(size) @ k[..., mine].transpose(1, 2)
        scores = scores if bias is None else scores + bias[:, head]
        scores = scores if padding is None else scores.masked_fill(padding[:, None, :], -math.inf)
        result = scores.softmax(-1) @ v[..., mine]
        outputs.append(result * module.head_scale[head] if options.get("scale_heads") else result)
    joined, results = torch.cat(outputs, dim=-1), []
    for i, row in enumerate(rows):
        project, o = module.project_out[row], joined[:, i]
        o = norm(o, project.sub_norm) if options.get("sub_norm", True) else o
        o = o @ project.linear.weight.T + project.linear.bias
        results.append(norm(o, project.out_norm) if options.get("out_norm") else o)
    return torch.stack(results, dim=1)


def attend(module: SelfAttention, x: Tensor, bias: Tensor | None, padding: Tensor | None) -> Tensor:
    packing = Packing([len(x)], [SEGMENTS], [padding])
    return packing.unpack(module(packing.pack([x]), packing, [bias]))[0]


def run(block: Block, x: Tensor, bias: Tensor | None = None) -> Tensor:
    rows, packings = pack([TokenSequence(x, SEGMENTS)])
    return unpack(block(rows, [[bias]], packings), packings)[0]


ATTENTION = [
    {},
    {"scale_heads": True},
    {"out_norm": True},
    {"sub_norm": False},
    {"share_attention": False},
    {"scale_heads": True, "out_norm": True, "sub_norm": False, "share_attention": False},
]


@pytest.mark.parametrize("options", ATTENTION, ids=lambda o: "+".join(o) or "released")
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_attention(options: dict[str, Any], padded: bool, rows: int) -> None:
    torch.manual_seed(1)
    module = shaken(SelfAttention(config(**options), NAMES))
    x = torch.randn(3, 7, 16)
    bias = torch.randn(rows, 4, 7, 7) if rows else None
    padding = torch.arange(7) >= torch.tensor([7, 5, 6])[:, None] if padded else None
    expected = attention_formula(module, x, bias, padding, options)
    for training in (False, True):
        assert torch.allclose(attend(module.train(training), x, bias, padding), expected, atol=1e-5)
    with torch.no_grad():
        assert torch.allclose(attend(module, x, bias, padding), expected, atol=1e-5)
    if not padded and options.get("share_attention", True):  # outside a block, of one modality
        assert torch.allclose(module.attend(x, "a", bias), expected, atol=1e-5)


def test_keys_have_no_bias_and_feed_forwards_none_inside() -> None:
    attention, feed_forward = SelfAttention(config(), NAMES), GatedFeedForward(config())
    assert sum(p.numel() for p in attention.parameters()) == 4 * 16 * 16 + 3 * 16 + 2 * 16
    assert sum(p.numel() for p in feed_forward.parameters()) == 3 * 16 * 24 + 16 + 2 * 24


def feed_forward_formula(module: GatedFeedForward, x: Tensor, normed: bool) -> Tensor:
    w0, w1 = module.expand.weight.chunk(2)
    gate, value = x @ w0.T, x @ w1.T
    hidden = gate * 0.5 * (1 + torch.erf(gate / math.sqrt(2))) * value  # exact GELU
    hidden = norm(hidden, module.norm) if normed else hidden
    return hidden @ module.contract.weight.T + module.contract.bias


@pytest.mark.parametrize("normed", [True, False])
def test_feed_forward(normed: bool) -> None:
    torch.manual_seed(2)
    module = shaken(GatedFeedForward(config(feed_forward_norm=normed)))
    x = torch.randn(2, 5, 16)
    assert torch.allclose(module(x), feed_forward_formula(module, x, normed), atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layer_scale": 0.0},
        {"feed_forward_norm": False},
        {"share_feed_forward": True},
        {"share_attention": False},
    ],
    ids=lambda o: "+".join(o) or "released",
)
def test_block(options: dict[str, Any]) -> None:
    torch.manual_seed(3)
    block = shaken(Block(config(**options), NAMES, drop_path=0.0))
    x, bias = torch.randn(2, 7, 16), torch.randn(1, 4, 7, 7)
    shared = options.get("share_attention", True)
    normed = torch.cat(
        [
            norm(x[:, s.start : s.stop], block.attention_norm["shared" if shared else s.name])
            for s in SEGMENTS
        ],
        dim=1,
    )
    attended = attention_formula(block.attention, normed, bias, None, options)
    scaled = options.get("layer_scale", 1.0) > 0
    y = x + (attended * block.attention_scale.gamma if scaled else attended)
    u = norm(y, block.feed_forward_norm)
    parts = [
        feed_forward_formula(
            block.feed_forward["shared" if options.get("share_feed_forward") else s.name],
            u[:, s.start : s.stop],
            options.get("feed_forward_norm", True),
        )
        for s in SEGMENTS
    ]
    fed = torch.cat(parts, dim=1)
    expected = y + (fed * block.feed_forward_scale.gamma if scaled else fed)
    assert torch.allclose(run(block, x, bias), expected, atol=1e-5)


def test_a_block_scale_starts_where_the_config_says() -> None:
    block = Block(config(layer_scale=0.25), NAMES, 0.0)
    assert block.attention_scale.gamma.unique().tolist() == [0.25]
    assert block.feed_forward_scale.gamma.unique().tolist() == [0.25]


@pytest.mark.parametrize(
    "options", [{"dropout": 0.5}, {"attention_dropout": 0.5}, {"activation_dropout": 0.5}]
)
def test_dropouts_act_in_training_alone_and_keep_the_mean(options: dict[str, float]) -> None:
    torch.manual_seed(4)
    block = shaken(Block(config(sub_norm=False, feed_forward_norm=False, **options), NAMES, 0.0))
    x = torch.randn(1, 7, 16)
    with torch.no_grad():
        assert torch.equal(run(block.eval(), x), run(block, x))
        block.train()
        attended = attend(block.eval().attention, x, None, None)
        block.train()
        draws = torch.stack([block.dropout(attend(block.attention, x, None, None)) for _ in range(3000)])
        if "activation_dropout" in options:
            u, module = x[:, :3], block.feed_forward["a"]
            draws = torch.stack([module(u) for _ in range(3000)])
            attended = module.eval()(u)
    error = (draws.mean(0) - attended).abs() / (draws.std(0) / 3000**0.5)
    assert draws.std(0).min() > 0
    assert error.max() < 5


def test_activation_is_exact_gelu() -> None:
    x = torch.linspace(-3, 3, 24)
    assert not torch.allclose(
        F.gelu(x), F.gelu(x, approximate="tanh"), atol=1e-5
    )  # so the test above can tell


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 10, "heads": 4}, "width 10 is not a multiple of heads 4; choose sizes that divide"),
        ({"width": 0}, "width 0"),
        ({"drop_path": 1.0}, r"drop_path 1.0 is not in \[0, 1\)"),
        ({"drop_path": -0.1}, r"drop_path -0.1 is not in \[0, 1\)"),
    ],
)
def test_impossible_configs(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransformerConfig(**{**SIZES, **options})
