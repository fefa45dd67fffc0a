"""Convolution with channels last is the library's own, in value and gradient."""

import pytest
import torch
import torch.nn.functional as F

from onepeace_pl.nn.convolution import convolve


@pytest.mark.parametrize(("channels", "width", "stride"), [(1, 10, 5), (4, 3, 2), (4, 2, 2), (3, 3, 1)])
@pytest.mark.parametrize("frames", [10, 13, 24])
def test_values_and_gradients(channels: int, width: int, stride: int, frames: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, frames, channels, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, channels, width, dtype=torch.float64, requires_grad=True)
    expected = F.conv1d(x.transpose(1, 2), weight, stride=stride).transpose(1, 2)
    assert torch.allclose(convolve(x, weight, stride), expected)
    torch.autograd.gradcheck(lambda a, b: convolve(a, b, stride), (x, weight))


def test_a_view_is_read_where_it_lies() -> None:
    torch.manual_seed(1)
    x, weight = torch.randn(2, 3, 20)[:, 1:].transpose(1, 2)[:, 2:], torch.randn(5, 2, 3)
    expected = F.conv1d(x.transpose(1, 2), weight, stride=2).transpose(1, 2)
    assert torch.allclose(convolve(x, weight, 2), expected, atol=1e-5)


def test_a_frozen_kernel_gets_no_gradient() -> None:
    x = torch.randn(1, 8, 2, requires_grad=True)
    weight = torch.randn(3, 2, 2)
    convolve(x, weight, 2).sum().backward()
    assert x.grad is not None


def test_autocast_is_followed_in_both_directions() -> None:
    torch.manual_seed(2)
    x, weight = torch.randn(2, 12, 3, requires_grad=True), torch.randn(5, 3, 3, requires_grad=True)
    exact = convolve(x, weight, 2)
    exact.sum().backward()
    expected = weight.grad.clone()
    weight.grad = None
    with torch.autocast("cpu", torch.bfloat16):
        y = convolve(x, weight, 2)
    assert y.dtype is torch.bfloat16
    assert torch.allclose(y.float(), exact, atol=0.1)
    y.float().sum().backward()
    assert weight.grad.dtype is torch.float32
    assert torch.allclose(weight.grad, expected, rtol=0.05, atol=0.1)
