"""Images of any size, for dense tasks. Shapes: B batch, H and W height and width in pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import ModalityInput, ModalitySample, Processor
from onepeace_pl.modalities.files import is_encoded
from onepeace_pl.modalities.image.decoding import ImageInput, open_image
from onepeace_pl.modalities.image.processor import normalise


class AnySizeProcessor(Processor):
    """Normalises an image of any size to (3, H, W).

    Args:
        divisor: Batches are padded, right and below, until this divides their sides.
        patch: Side of a patch in pixels; gives the number of tokens.
    """

    def __init__(self, divisor: int = 32, patch: int = 16) -> None:
        if divisor < patch or divisor % patch:
            raise UserError(f"divisor={divisor} must be a multiple of patch={patch} pixels")
        self.divisor, self.patch = divisor, patch

    def __call__(
        self, raw: ImageInput, *, train: bool = False, rng: np.random.Generator | None = None
    ) -> ModalitySample:
        """Prepare one image."""
        image = open_image(raw)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).to(torch.float32).div_(255)
        patches = -(-image.width // self.patch) * -(-image.height // self.patch)
        return ModalitySample(normalise(pixels), patches)

    def is_single(self, value: object) -> bool:
        """Return whether a value is one encoded file or PIL image."""
        return isinstance(value, Image.Image) or is_encoded(value)

    def collate(self, samples: Sequence[ModalitySample]) -> ModalityInput:
        """Pad with the mean colour to the largest of the images -> (B, 3, H, W)."""
        height, width = (
            -(-max(s.values.shape[axis] for s in samples) // self.divisor) * self.divisor for axis in (1, 2)
        )
        return ModalityInput(
            torch.stack(
                [
                    F.pad(s.values, (0, width - s.values.shape[2], 0, height - s.values.shape[1]))
                    for s in samples
                ]
            )
        )
