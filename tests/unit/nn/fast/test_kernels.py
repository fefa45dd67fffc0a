"""Every kernel gives the formula's numbers and gradients, and the table chooses as it says."""

import pytest
import torch
from torch import Tensor

from onepeace_pl.nn.fast.kernels import KERNELS, attend, choose

PADDING = torch.arange(7) >= torch.tensor([7, 5, 6])[:, None]


def inputs(rows: int, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    torch.manual_seed(0)
    qkv = torch.randn(3, 7, 3, 2, 4, dtype=dtype, requires_grad=True)
    return qkv, torch.randn(rows, 2, 7, 7, dtype=dtype, requires_grad=True) if rows else None


@pytest.mark.parametrize("kernel", ["fused", "shared_bias"])
@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("padding", [None, PADDING])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 4e-2)])
def test_kernels_agree(
    kernel: str, rows: int, padding: Tensor | None, dtype: torch.dtype, bound: float
) -> None:
    results = []
    for name, kind in (("plain", torch.float64), (kernel, dtype)):
        qkv, bias = (None if t is None else t.detach().to(kind).requires_grad_() for t in inputs(rows, dtype))
        out = attend(qkv, bias, padding, kernel=name)
        out.backward(torch.linspace(-1, 1, out.numel()).view_as(out).to(kind))
        results.append([out, qkv.grad] + ([] if bias is None else [bias.grad]))
    for exact, mine in zip(*results, strict=True):
        assert mine.dtype == dtype
        assert (mine - exact).norm() <= bound * exact.norm()


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_gradients_of_shared_bias(rows: int) -> None:
    qkv, bias = inputs(rows, torch.float64)
    leaves = (qkv,) if bias is None else (qkv, bias)
    torch.autograd.gradcheck(lambda x, b=None: attend(x, b, PADDING, kernel="shared_bias"), leaves)


def test_inputs_are_left_alone() -> None:
    qkv, bias = inputs(1, torch.float32)
    before = qkv.detach().clone(), bias.detach().clone()
    for kernel in KERNELS:
        attend(qkv, bias, PADDING, kernel=kernel).sum().backward()
    assert torch.equal(qkv.detach(), before[0])
    assert torch.equal(bias.detach(), before[1])


@torch.no_grad()
def test_fused_attention_is_fused_where_a_learnt_bias_needs_no_gradient_now() -> None:
    qkv, bias = inputs(1, torch.float32)
    with torch.profiler.profile() as profile:
        attend(qkv, bias, None, kernel="fused")
    names = {event.key for event in profile.key_averages()}
    assert "aten::_scaled_dot_product_flash_attention_for_cpu" in names


def test_a_learnt_bias_never_meets_the_slow_path_of_the_processor() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        for length in (5, 64, 257, 1024):
            assert choose("cpu", dtype, True, True, length) == "shared_bias"
    assert choose("cpu", torch.float32, False, False, 257) == "fused"
    assert choose("cuda", torch.bfloat16, True, True, 257) == "fused"
