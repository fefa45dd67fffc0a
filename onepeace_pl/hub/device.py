"""Device by name, with the default of this machine."""

from __future__ import annotations

import torch

from onepeace_pl.errors import UserError


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
