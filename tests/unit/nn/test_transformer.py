"""A stack of blocks: several sequences in one call, biases by layer, recomputing, depth of drop path."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from onepeace_pl.benchmarks.memory import peak_bytes
from onepeace_pl.nn import Segment, TokenSequence, Transformer, TransformerConfig
from onepeace_pl.nn.checkpointing import free_bytes

NAMES = ("a", "b")


def stack(**options: Any) -> Transformer:
    torch.manual_seed(0)
    transformer = Transformer(
        TransformerConfig(**{"width": 16, "depth": 3, "heads": 2, "feed_forward": 24, **options}), NAMES
    )
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return transformer


def sequences() -> list[TokenSequence]:
    generator = torch.Generator().manual_seed(1)
    five, eight, three = (torch.randn(4, length, 16, generator=generator) for length in (5, 8, 3))
    shared = [torch.randn(1, 2, 5, 5, generator=generator)]
    by_layer = [torch.randn(1, 2, 8, 8, generator=generator) for _ in range(3)]
    padding = torch.arange(5) >= torch.tensor([5, 4, 3, 5])[:, None]
    return [
        TokenSequence(five, (Segment("a", 0, 5),), shared, padding),
        TokenSequence(eight, (Segment("a", 0, 3), Segment("b", 3, 8)), by_layer),
        TokenSequence(three, (Segment("b", 0, 3),), grad=False),
    ]


def test_sequences_do_not_know_of_each_other() -> None:
    transformer, made = stack(), sequences()
    together = transformer(made)
    for mine, sequence in zip(together, made, strict=True):
        (alone,) = transformer([sequence])
        assert torch.allclose(mine, alone, atol=1e-6)
    assert [out.requires_grad for out in together] == [True, True, False]


def test_a_bias_for_each_layer_is_used_by_its_layer() -> None:
    transformer, sequence = stack().eval(), sequences()[1]
    first, second, third = sequence.biases
    (out,) = transformer([sequence])
    (swapped,) = transformer([replace(sequence, biases=[first, third, second])])
    (shared,) = transformer([replace(sequence, biases=[first])])
    (repeated,) = transformer([replace(sequence, biases=[first] * 3)])
    assert (out - swapped).abs().max() > 1e-3
    assert torch.equal(shared, repeated)


def test_the_last_norm_is_the_modality_s() -> None:
    transformer, sequence = stack().eval(), sequences()[1]
    (before,) = transformer([sequence])
    with torch.no_grad():
        transformer.norms["b"].bias += 1.0
    (after,) = transformer([sequence])
    assert torch.equal(after[:, :3], before[:, :3])
    assert torch.allclose(after[:, 3:], before[:, 3:] + 1, atol=1e-6)
    (without,) = transformer([replace(sequence, norm=False)])
    assert torch.allclose(transformer.norms["b"](without[:, 3:]), after[:, 3:], atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{}, {"drop_path": 0.5}, {"drop_path": 0.5, "drop_path_mode": "subset"}, {"dropout": 0.3}],
    ids=lambda o: "+".join(map(str, o.values())) or "plain",
)
def test_recomputing_changes_no_number(options: dict[str, Any]) -> None:
    results = []
    for mode in ("none", "selective", "full"):
        transformer = stack(activation_checkpointing=mode, **options).train()
        made = sequences()
        leaves = [t.requires_grad_() for t in (made[0].tokens, made[1].tokens, *made[1].biases)]
        torch.manual_seed(5)
        outputs = transformer(made)
        sum(out.square().sum() for out in outputs[:2]).backward()
        gradients = [p.grad for p in transformer.parameters()]
        results.append([*outputs, *(leaf.grad for leaf in leaves), *gradients])
    for a, b, c in zip(*results, strict=True):
        assert a is b is c is None or (torch.allclose(a, b, atol=1e-5) and torch.allclose(a, c, atol=1e-5))


def test_each_way_of_recomputing_keeps_less() -> None:
    def peak(mode: str) -> int:
        transformer = stack(activation_checkpointing=mode, depth=6).train()
        long = TokenSequence(torch.randn(8, 64, 16), (Segment("a", 0, 64),))
        return peak_bytes(lambda: transformer([long])[0].sum().backward(), "cpu")

    none, selective, full = map(peak, ("none", "selective", "full"))
    assert none > 1.1 * selective > 1.5 * full


@pytest.mark.parametrize(
    ("free", "mode"), [(2**40, "none"), (2_500_000, "selective"), (600_000, "full"), (0, "full")]
)
def test_auto_chooses_what_fits(
    free: int, mode: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("onepeace_pl.nn.transformer.free_bytes", lambda *_: free)
    transformer = stack(activation_checkpointing="auto", depth=6).train()
    long = TokenSequence(torch.randn(8, 64, 16), (Segment("a", 0, 64),))
    with caplog.at_level("INFO"):
        transformer.eval()([long])
        assert not caplog.records  # nothing is kept there
        for _ in range(2):
            transformer.train()([long])
    (line,) = caplog.messages
    assert line.startswith(f"activation checkpointing: {mode}, for 512 rows of 6 blocks")
    assert {block.checkpointing for block in transformer.blocks} == {mode}


def test_memory_of_this_machine_is_estimated() -> None:
    transformer = stack()
    weights = sum(parameter.nbytes for parameter in transformer.parameters())
    before = free_bytes(transformer, torch.device("cpu"))
    transformer.requires_grad_(False)
    assert 0 < before < free_bytes(transformer, torch.device("cpu")) + weights * 100


def test_a_config_of_an_earlier_version() -> None:
    assert TransformerConfig.from_config({"checkpoint": True}).activation_checkpointing == "full"
    assert TransformerConfig.from_config({"checkpoint": False}).activation_checkpointing == "none"


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_drop_path_grows_with_depth(depth: int) -> None:
    rates = [block.drop_path for block in stack(depth=depth, drop_path=0.4).blocks]
    assert rates == pytest.approx([0.4 * i / max(depth - 1, 1) for i in range(depth)])


@pytest.mark.parametrize("mode", ["bernoulli", "subset"])
@torch.no_grad()
def test_drop_path_is_off_in_evaluation(mode: str) -> None:
    made = sequences()
    with_it = stack(drop_path=0.9, drop_path_mode=mode).eval()(made)
    without = stack().eval()(made)
    for a, b in zip(with_it, without, strict=True):
        assert torch.equal(a, b)
    moved = stack(drop_path=0.9, drop_path_mode=mode).train()(made)
    assert not torch.equal(moved[1], without[1])


@pytest.mark.parametrize(
    ("mode", "layer_scale"),
    [
        ("bernoulli", 0.0),
        ("bernoulli", 0.1),
        ("subset", 0.1),
        ("subset", 0.0),
    ],
)
def test_a_training_step_in_bfloat16(mode: str, layer_scale: float) -> None:
    transformer = stack(drop_path=0.5, drop_path_mode=mode, layer_scale=layer_scale).train()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = transformer(sequences())
    sum(out.float().square().sum() for out in outputs[:2]).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in transformer.parameters())
