"""Functions that keep few activations give the gradients of the formulas that they stand for, and keep less."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from onepeace_pl.benchmarks.memory import peak_bytes
from onepeace_pl.nn.fast.recompute import Norm, gated_feed_forward, norm_linear

ROWS, WIDTH, INNER = 12, 8, 20


def feed_forward(normed: bool = True) -> tuple[Callable[[Tensor], Tensor], ...]:
    expand, contract = nn.Linear(WIDTH, 2 * INNER, bias=False), nn.Linear(INNER, WIDTH)
    norm = nn.LayerNorm(INNER) if normed else nn.Identity()

    def plain(x: Tensor) -> Tensor:
        gate, value = expand(x).chunk(2, -1)
        out: Tensor = contract(norm(nn.functional.gelu(gate) * value))
        return out

    return lambda x: gated_feed_forward(x, expand, Norm.of(norm), contract), plain, expand, norm, contract


def projection(normed: bool = True) -> tuple[Callable[[Tensor], Tensor], ...]:
    norm, linear = nn.LayerNorm(WIDTH) if normed else nn.Identity(), nn.Linear(WIDTH, INNER)
    return lambda x: norm_linear(x, Norm.of(norm), linear), lambda x: linear(norm(x)), norm, linear


def gradients(
    call: Callable[[Tensor], Tensor], x: Tensor, parameters: Sequence[Tensor], autocast: bool
) -> list[Tensor | None]:
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = call(x)
    wanted = [t for t in (x, *parameters) if t.requires_grad]
    return [
        out,
        *torch.autograd.grad((out.float() * torch.arange(out.numel()).view_as(out).cos()).sum(), wanted),
    ]


@pytest.mark.parametrize("kind", [feed_forward, projection])
@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "autocast"])
@pytest.mark.parametrize("frozen", [None, 0, -1])
def test_gradients(kind: Callable[..., tuple], normed: bool, precision: str, frozen: int | None) -> None:
    torch.manual_seed(0)
    mine, plain, *modules = kind(normed)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    for module in modules:
        module.to(dtype)
        for parameter in module.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.3)
    if frozen is not None:
        modules[frozen].requires_grad_(False)
    parameters = [p for module in modules for p in module.parameters()]
    x = torch.randn(3, ROWS // 3, WIDTH, dtype=dtype, requires_grad=True)
    expected = gradients(plain, x, parameters, precision == "autocast")
    found = gradients(mine, x, parameters, precision == "autocast")
    for a, b in zip(found, expected, strict=True):
        assert a is not None
        assert b is not None
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b)


def test_a_second_derivative_is_refused() -> None:
    mine, *_ = feed_forward()
    x = torch.randn(ROWS, WIDTH, requires_grad=True)
    (grad,) = torch.autograd.grad(mine(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        grad.sum().backward()


@pytest.mark.parametrize(("kind", "share"), [(feed_forward, 0.55), (projection, 0.85)])
def test_less_is_kept(kind: Callable[..., tuple], share: float) -> None:
    mine, plain, *_ = kind()

    def bytes_of(call: Callable[[Tensor], Tensor]) -> int:
        kept: list[Tensor] = []

        def run() -> None:
            x = torch.randn(4096, WIDTH, requires_grad=True)
            kept.append(call(x))
            kept.append(
                torch.empty(4096, 8 * INNER)
            )  # a peak at which only what is kept for backward is left

        return peak_bytes(run, "cpu") - 4096 * 8 * INNER * 4

    assert bytes_of(mine) < share * bytes_of(plain)
