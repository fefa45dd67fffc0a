"""A block is one graph to a compiler, on CPU and on an accelerator, with the numbers that it has without one."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from onepeace_pl.nn.fast import kernels
from onepeace_pl.nn.fast.packing import pack
from tests.unit.nn.test_plain import made, passes


@pytest.fixture(autouse=True)
def forgets() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("device", "options"),
    [
        ("cpu", {"drop_path": 0.5, "activation_checkpointing": "full"}),
        ("cuda", {"drop_path": 0.5, "drop_path_mode": "subset", "share_attention": False}),
    ],
)
def test_a_block_has_no_graph_breaks(
    device: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = kernels.choose
    monkeypatch.setattr(kernels, "choose", lambda _, *rest: choose(device, *rest))
    block, sequences = made(options).train().blocks[1], passes(torch.float32)
    rows, packings = pack(sequences)
    biases = [[sequences[i].bias(0) for i in packing.members] for packing in packings]
    explained = torch._dynamo.explain(block)(rows, biases, packings)
    assert explained.graph_break_count == 0, explained.break_reasons
    assert explained.graph_count == 1


def test_compiled_blocks_have_the_same_gradients() -> None:
    found = []
    for compiler in (None, "eager"):
        model, sequences = made({}).train(), passes(torch.float32)
        for block in model.blocks:
            block.compiler = compiler
        outputs = model(sequences)
        sum(out.square().sum() for out in outputs[:3]).backward()
        found.append([p.grad for p in model.parameters()])
    for plain, compiled in zip(*found, strict=True):
        assert plain is compiled is None or torch.allclose(plain, compiled, rtol=1e-4, atol=1e-4)
