"""Image augmentation for fine-tuning: colour jitter, blur, RandAugment (``docs/reference/tasks.md``)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from onepeace_pl.errors import UserError

_MOST: Final = 10.0  # the greatest magnitude
_JITTER: Final = 0.4

# Name -> (image, strength in 0..1, sign) -> image. Strength 1 is the greatest magnitude.
_Change = Callable[[Image.Image, float, int], Image.Image]
# Name -> (size, strength, sign) -> where in the image a pixel of the result comes from: an affine matrix.
_Move = Callable[[tuple[int, int], float, int], tuple[float, ...]]


def _enhance(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> _Change:
    return lambda image, strength, sign: kind(image).enhance(1.8 * strength + 0.1)


def _enhance_around(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> _Change:
    return lambda image, strength, sign: kind(image).enhance(1.0 + sign * 0.9 * strength)


def _solarize_add(image: Image.Image, strength: float, sign: int) -> Image.Image:
    added = int(110 * strength)
    return image.point([min(255, value + added) if value < 128 else value for value in range(256)] * 3)


def _rotation(size: tuple[int, int], strength: float, sign: int) -> tuple[float, ...]:
    angle, (x, y) = math.radians(-sign * 30 * strength), (size[0] / 2, size[1] / 2)
    cos, sin = math.cos(angle), math.sin(angle)
    return cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y


OPERATIONS: Final[dict[str, _Change]] = {
    "identity": lambda image, strength, sign: image,
    "equalize": lambda image, strength, sign: ImageOps.equalize(image),
    "autocontrast": lambda image, strength, sign: ImageOps.autocontrast(image),
    "invert": lambda image, strength, sign: ImageOps.invert(image),
    "brightness": _enhance(ImageEnhance.Brightness),
    "sharpness": _enhance(ImageEnhance.Sharpness),
    "brightness_around": _enhance_around(ImageEnhance.Brightness),
    "sharpness_around": _enhance_around(ImageEnhance.Sharpness),
    "contrast_around": _enhance_around(ImageEnhance.Contrast),
    "colour_around": _enhance_around(ImageEnhance.Color),
    "posterize": lambda image, strength, sign: ImageOps.posterize(image, max(1, 4 - int(4 * strength))),
    "solarize": lambda image, strength, sign: ImageOps.solarize(image, 256 - int(256 * strength)),
    "solarize_add": _solarize_add,
}
MOVES: Final[dict[str, _Move]] = {
    "shear_x": lambda size, strength, sign: (1, sign * 0.3 * strength, 0, 0, 1, 0),
    "shear_y": lambda size, strength, sign: (1, 0, 0, sign * 0.3 * strength, 1, 0),
    "translate_x": lambda size, strength, sign: (1, 0, sign * 10 * strength, 0, 1, 0),
    "translate_y": lambda size, strength, sign: (1, 0, 0, 0, 1, sign * 10 * strength),
    "translate_x_share": lambda size, strength, sign: (1, 0, sign * 0.45 * strength * size[0], 0, 1, 0),
    "translate_y_share": lambda size, strength, sign: (1, 0, 0, 0, 1, sign * 0.45 * strength * size[1]),
    "rotate": _rotation,
}
PAIRS: Final = (  # for two images and a statement
    "identity", "equalize", "brightness", "sharpness", "shear_x", "shear_y", "translate_x", "translate_y", "rotate",
)  # fmt: skip
SINGLE: Final = (  # for images of one class: the stronger, the more they change
    "autocontrast", "equalize", "invert", "rotate", "posterize", "solarize", "solarize_add", "colour_around",
    "contrast_around", "brightness_around", "sharpness_around", "shear_x", "shear_y", "translate_x_share",
    "translate_y_share",
)  # fmt: skip


@dataclass(frozen=True)
class RandAugment:
    """A few operations drawn at random, each applied with a probability (arXiv 1909.13719).

    Attributes:
        count: Operations drawn, with replacement.
        magnitude: Strength of 0 to 10.
        deviation: Standard deviation of the magnitude, sampled for each operation.
        probability: Probability that a sampled operation is applied.
        operations: Names of :data:`OPERATIONS` and :data:`MOVES`.
        fill: Colour of what a move brings in.
        bicubic: Bicubic interpolation of geometric operations; False: bilinear.
    """

    count: int = 2
    magnitude: float = 7.0
    deviation: float = 0.0
    probability: float = 0.5
    operations: tuple[str, ...] = PAIRS
    fill: tuple[int, int, int] = (128, 128, 128)
    bicubic: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", tuple(self.operations))
        object.__setattr__(self, "fill", tuple(self.fill))
        known = (*OPERATIONS, *MOVES)
        unknown = [name for name in self.operations if name not in known]
        if unknown or not self.operations:
            raise UserError(
                f"operations: {unknown[0] if unknown else 'none'} is unknown; choose from {', '.join(known)}"
            )
        if not 0 <= self.magnitude <= _MOST:
            raise UserError(f"magnitude={self.magnitude} must lie between 0 and 10")

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Change an image."""
        for number in rng.integers(len(self.operations), size=self.count):
            sign = 1 if rng.random() < 0.5 else -1
            level = float(np.clip(rng.normal(self.magnitude, self.deviation), 0, _MOST))
            if rng.random() < self.probability:
                image = self.apply(self.operations[number], image, level / _MOST, sign)
        return image

    def apply(self, name: str, image: Image.Image, strength: float, sign: int) -> Image.Image:
        """Apply one operation with a strength of 0 to 1, in the direction of ``sign``."""
        if name in OPERATIONS:
            return OPERATIONS[name](image, strength, sign)
        kind = Image.Resampling.BICUBIC if self.bicubic else Image.Resampling.BILINEAR
        matrix = MOVES[name](image.size, strength, sign)
        return image.transform(image.size, Image.Transform.AFFINE, matrix, kind, fillcolor=self.fill)


def jitter(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Change brightness, contrast and saturation, each by up to 40 %, in random order."""
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for number in rng.permutation(len(kinds)):
        image = kinds[number](image).enhance(rng.uniform(1 - _JITTER, 1 + _JITTER))
    return image


def blur(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Blur with a radius of 0.1 to 2 pixels."""
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.1, 2.0)))
