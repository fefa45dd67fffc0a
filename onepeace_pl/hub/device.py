"""Device and dtype by name, with the default device of this machine."""

from __future__ import annotations

import torch

from onepeace_pl.errors import UserError, nearest

_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}


def find_device(device: torch.device | str | None = None) -> torch.device:
    """Return a device that can be used; None takes a GPU where there is one, else the CPU.

    Raises:
        UserError: There is no such device here.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError):  # the latter where torch was built without it
        here = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        if torch.backends.mps.is_available():
            here.append("mps")
        raise UserError(f"no device {str(device)!r} here; there are {', '.join(here)}") from None


def find_dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    """Return a floating-point dtype by name (``bfloat16``); None as it is.

    Raises:
        UserError: There is no such dtype, or it is not of floats.
    """
    name = str(dtype).removeprefix("torch.")
    if dtype is None:
        return None
    if name not in _DTYPES:
        raise UserError(f"dtype={dtype!r} is no dtype of weights; {nearest(name, _DTYPES)}")
    return _DTYPES[name]
