"""Embedding quantization: int8 and binary vectors, as in sentence-transformers.

Shapes: N vectors, D values each.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from onepeace_pl.errors import UserError

Precision = Literal["float32", "int8", "uint8", "binary", "ubinary"]
"""``int8``, ``uint8``: one of 256 levels a value; ``binary``, ``ubinary``: one bit, eight to a byte."""

SPREAD = (
    5.0  # times 1 / sqrt(D), the root mean square of a unit vector's values; trained vectors stay below 4
)
DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "binary": torch.int8,
    "ubinary": torch.uint8,
}


def quantize_embeddings(
    embeddings: Tensor,
    precision: Precision,
    ranges: Tensor | None = None,
    calibration_embeddings: Tensor | None = None,
) -> Tensor:
    """Quantize embeddings to a lower precision.

    Args:
        embeddings: (..., D) floating-point unit vectors.
        precision: Of the result.
        ranges: (2, D), least and greatest value of each dimension, which 256 levels divide; values outside are
            clipped. None takes the same for all: plus and minus ``min(1, 5 / sqrt(D))``, so that a vector's code
            depends on no other vector. Only for ``int8`` and ``uint8``.
        calibration_embeddings: (M, D), from which ranges are taken instead.

    Returns:
        ``float32``: (..., D) float32; ``int8``, ``uint8``: (..., D) of that dtype; ``binary``, ``ubinary``:
        (..., D / 8), the signs of eight values a byte, the first in its highest bit; ``ubinary`` as uint8, ``binary``
        128 less as int8.

    Raises:
        UserError: An unknown precision, ranges that do not fit, or bits that fill no bytes.

    Source: ``quantize_embeddings`` of sentence-transformers, whose codes these are; values outside the ranges wrap
    around there.
    """
    check_precision(precision)
    width = embeddings.shape[-1]
    if precision == "float32":
        return embeddings.float()
    if precision in ("binary", "ubinary"):
        if width % 8:
            raise UserError(f"precision={precision!r} needs a multiple of 8 values, not {width}")
        packed = torch.from_numpy(np.packbits((embeddings > 0).cpu().numpy(), axis=-1))
        packed = packed.to(embeddings.device)
        return packed if precision == "ubinary" else (packed.short() - 128).to(torch.int8)
    if ranges is None and calibration_embeddings is not None:
        ranges = torch.stack([calibration_embeddings.amin(0), calibration_embeddings.amax(0)])
    low, step = _levels(width, ranges, embeddings.device)
    levels = ((embeddings.float() - low) / step).floor().clamp(0, 255)
    return levels.to(torch.uint8) if precision == "uint8" else (levels - 128).to(torch.int8)


def dequantize_embeddings(
    embeddings: Tensor, precision: Precision = "float32", ranges: Tensor | None = None
) -> Tensor:
    """Return float32 vectors for quantized ones: the centre of each level, plus or minus one for each bit.

    The dot product of two binary vectors of D bits is then D minus twice their Hamming distance.

    Args:
        embeddings: Vectors of :func:`quantize_embeddings`. Floating-point ones are returned as they are, so that
            float queries can be compared with quantized documents.
        precision: Of the quantized vectors.
        ranges: Those that they were quantized with.

    Raises:
        UserError: An unknown precision, one of another dtype, or ranges that do not fit.
    """
    check_precision(precision)
    if embeddings.is_floating_point():
        return embeddings.float()
    if embeddings.dtype != DTYPES[precision]:
        fitting = [name for name, dtype in DTYPES.items() if dtype == embeddings.dtype]
        raise UserError(
            f"vectors of {embeddings.dtype} are not of precision {precision!r}"
            + (f"; say precision={' or '.join(map(repr, fitting))}" if fitting else "")
        )
    if precision in ("binary", "ubinary"):
        packed = (embeddings.short() + (128 if precision == "binary" else 0)).to(torch.uint8)
        bits = torch.from_numpy(np.unpackbits(packed.cpu().numpy(), axis=-1))
        return bits.to(embeddings.device).float() * 2 - 1
    low, step = _levels(embeddings.shape[-1], ranges, embeddings.device)
    levels = embeddings.float() + (128 if precision == "int8" else 0)
    return low + (levels + 0.5) * step


def check_precision(precision: str) -> None:
    """Reject what is no :data:`Precision`.

    Raises:
        UserError: There is no such precision.
    """
    if precision not in get_args(Precision):
        raise UserError(f"precision={precision!r}: choose one of {', '.join(get_args(Precision))}")


def _levels(width: int, ranges: Tensor | None, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the lower end of the first level and the size of a level, both (D,)."""
    if ranges is None:
        end = torch.full((width,), min(1.0, SPREAD / width**0.5), device=device)
        ranges = torch.stack([-end, end])
    if ranges.shape != (2, width):
        raise UserError(f"ranges must be (2, {width}), least and greatest values, not {tuple(ranges.shape)}")
    low, high = ranges.to(device, torch.float32)
    if not (high > low).all():
        raise UserError("ranges: each greatest value must be above the least; calibrate with more vectors")
    return low, (high - low) / 255
