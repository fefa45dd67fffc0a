"""Roofline of named devices: the time that operators take at least, by peak FLOP/s and memory bandwidth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from onepeace_pl.errors import UserError, nearest


@dataclass(frozen=True)
class Machine:
    """Peak rates of a device, dense (without structured sparsity).

    Attributes:
        name: The product.
        half: FLOP/s of products in bfloat16 and float16.
        single: FLOP/s of products in float32, without TF32.
        bandwidth: Bytes a second of its memory.
        source: Where the numbers stand.
    """

    name: str
    half: float
    single: float
    bandwidth: float
    source: str

    def peak(self, dtype: torch.dtype) -> float:
        """Return the FLOP/s of products in a dtype."""
        return self.half if dtype in (torch.bfloat16, torch.float16) else self.single

    def seconds(self, flops: int, moved: int, dtypes: Sequence[torch.dtype]) -> float:
        """Return the least time of an operator: the longer one of computing and of moving.

        Args:
            flops: Floating point operations.
            moved: Bytes that it reads and writes.
            dtypes: Of its inputs; the widest counts.
        """
        rate = min((self.peak(dtype) for dtype in dtypes), default=self.single)
        return max(flops / rate, moved / self.bandwidth)


MACHINES = {
    "h200": Machine("NVIDIA H200 SXM", 989e12, 67e12, 4.8e12, "NVIDIA H200 datasheet"),
    "h100": Machine("NVIDIA H100 SXM", 989e12, 67e12, 3.35e12, "NVIDIA H100 datasheet"),
    "a100": Machine("NVIDIA A100 SXM 80 GB", 312e12, 19.5e12, 2.039e12, "NVIDIA A100 datasheet"),
    "l4": Machine("NVIDIA L4", 121e12, 30.3e12, 0.3e12, "NVIDIA L4 datasheet"),
    "epyc": Machine(
        "AMD EPYC 9654, one socket",
        14.7e12,
        7.37e12,
        460.8e9,
        "AMD product page: 96 cores, 2.4 GHz base, 12 channels of DDR5-4800; Zen 4: 32 FLOP a cycle and core in "
        "float32, 64 in bfloat16",
    ),
}
"""Devices by name."""


def find_machine(name: str) -> Machine:
    """Return a device by name.

    Raises:
        UserError: There is no such device in the table.
    """
    if name not in MACHINES:
        raise UserError(f"no roofline of {name!r}; {nearest(name, MACHINES)}")
    return MACHINES[name]
