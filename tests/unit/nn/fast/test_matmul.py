"""The float32 switch is taken where products stay exact, and taken back where they do not."""

from collections.abc import Iterator

import pytest
import torch

from onepeace_pl.nn.fast import matmul


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = torch.backends.mkldnn.matmul.fp32_precision
    yield
    torch.backends.mkldnn.matmul.fp32_precision = before


def test_products_are_exact_afterwards_whatever_the_processor() -> None:
    before = torch.backends.mkldnn.matmul.fp32_precision
    result = matmul.enable_fast_float32()
    a, b = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(1))
    exact = a.double() @ b.double()
    assert ((a @ b).double() - exact).norm() <= 2e-6 * exact.norm()
    assert result.enabled == (result.error <= matmul.TOLERANCE)
    assert torch.backends.mkldnn.matmul.fp32_precision == ("bf16" if result.enabled else before)


def test_an_inexact_product_is_refused_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.backends.mkldnn.matmul.fp32_precision
    errors = iter([3e-7, 2e-3])
    monkeypatch.setattr(matmul, "_error", lambda: next(errors))
    result = matmul.enable_fast_float32()
    assert not result.enabled
    assert torch.backends.mkldnn.matmul.fp32_precision == before
    assert "off" in str(result)
    assert "2.0e-03" in str(result)


def test_an_exact_product_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "_error", lambda: 3e-7)
    assert matmul.enable_fast_float32().enabled
    assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
