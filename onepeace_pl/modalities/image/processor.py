"""Image preprocessing: any source to normalised square pixels. Shapes: B batch, S side in pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeGuard

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import ModalityInput, ModalitySample, Processor
from onepeace_pl.modalities.files import is_encoded
from onepeace_pl.modalities.image.augment import RandAugment, blur, jitter
from onepeace_pl.modalities.image.decoding import ImageInput, check_sides, colour_planes, open_image

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_CROP_RATIO = (3 / 4, 4 / 3)


class ImageProcessor(Processor):
    """Resizes and normalises an image to (3, S, S).

    An image is :data:`~onepeace_pl.modalities.ImageInput`; floats are never blurred. Files and PIL images are turned as
    their EXIF orientation says.

    Args:
        size: Side in pixels, a multiple of `patch`.
        patch: Side of a patch in pixels; gives the number of tokens.
        fit: Resizing to a square in evaluation: "squash" both sides to `size` (data sets,
            embedding interface, grounding), or "centre_crop" (shorter side to `size`, then the middle;
            ImageNet).
        train_crop: In training, crop a random area between these shares, sides in a ratio of 3/4 to 4/3, then
            resize. Null trains as outside training (fine-tuning recipes).
        train_blur: In training, probability of a Gaussian blur with a radius of 0.1 to 2 pixels (grounding and
            two images: 0.5).
        train_jitter: In training, probability of changed brightness, contrast and saturation (two images: 0.5).
        train_flip: In training, probability of a horizontal flip (ImageNet and two images: 0.5).
        train_augment: In training, RandAugment. All but the crop need uint8 images.
        backend: Resizing of uint8 images: "pil", the original's, or "torch", several times faster on CPU: antialiased
            bicubic, too, and one grey level away in less than one of 100 pixels.
        reducing_gap: Shrink by whole factors first, as long as sides stay this many times `size` (Pillow's option; 1 or
            more, 3 differs little), and, where no area is cropped, decode a JPEG at a fraction of its size: large
            photos are read several times faster. Null resizes in one step, as the original does.
    """

    def __init__(
        self,
        size: int = 256,
        patch: int = 16,
        fit: Literal["squash", "centre_crop"] = "squash",
        train_crop: tuple[float, float] | None = (0.9, 1.0),
        train_blur: float = 0.0,
        train_jitter: float = 0.0,
        train_flip: float = 0.0,
        train_augment: RandAugment | None = None,
        backend: Literal["pil", "torch"] = "pil",
        reducing_gap: float | None = None,
    ) -> None:
        if size < patch or size % patch:
            raise UserError(f"size={size} must be a multiple of patch={patch} pixels")
        if fit not in ("squash", "centre_crop"):
            raise UserError(f"fit={fit!r} is unknown; choose squash or centre_crop")
        if train_crop is not None and not 0 < train_crop[0] <= train_crop[1] <= 1:
            raise UserError(f"train_crop={list(train_crop)} must be two ascending shares in 0..1, or null")
        if backend not in ("pil", "torch"):
            raise UserError(f"backend={backend!r} is unknown; choose pil or torch")
        if reducing_gap is not None and not 1 <= reducing_gap < math.inf:
            raise UserError(f"reducing_gap={reducing_gap} must be 1 or more, or null")
        self.size = size
        self.backend: Literal["pil", "torch"] = backend
        self.reducing_gap = reducing_gap
        self.patch = patch
        self.fit = fit
        self.train_crop = None if train_crop is None else (float(train_crop[0]), float(train_crop[1]))
        self.train_blur = train_blur
        self.train_jitter = train_jitter
        self.train_flip = train_flip
        self.train_augment = (
            RandAugment(**train_augment) if isinstance(train_augment, dict) else train_augment
        )

    def __call__(
        self, raw: ImageInput, *, train: bool = False, rng: np.random.Generator | None = None
    ) -> ModalitySample:
        """Prepare one image.

        Raises:
            TypeError: If `raw` is no image.
            UserError: If a file is missing or unreadable, sides are too long or too unequal, or an array has
                another shape or values out of range.
        """
        length = (self.size // self.patch) ** 2
        rng = rng if rng is not None else np.random.default_rng()
        if is_float(raw):
            crop = self.train_crop if train else None
            return ModalitySample(
                normalise(self._square_tensor(_checked(colour_planes(raw)), crop, rng)), length
            )
        crops = train and self.train_crop is not None
        least = None if crops or self.reducing_gap is None else math.ceil(self.size * self.reducing_gap)
        image = open_image(raw, least=least)
        image = self._augment(image, rng) if train else self._square(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).to(torch.float32).div_(255)
        return ModalitySample(normalise(pixels), length)

    def is_single(self, value: object) -> bool:
        """Return whether a value is one encoded file or PIL image."""
        return isinstance(value, Image.Image) or is_encoded(value)

    def collate(self, samples: Sequence[ModalitySample]) -> ModalityInput:
        """Stack pixels (B, 3, S, S); images are never padded."""
        return ModalityInput(torch.stack([sample.values for sample in samples]))

    def _augment(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        if self.train_crop is None:
            image = self._square(image)
        else:
            box = random_crop_box(image.width, image.height, self.train_crop, rng)
            image = self._resize(image.crop(box), self.size, self.size)
        if self.train_jitter and rng.random() < self.train_jitter:
            image = jitter(image, rng)
        if self.train_blur and rng.random() < self.train_blur:
            image = blur(image, rng)
        if self.train_flip and rng.random() < self.train_flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return image if self.train_augment is None else self.train_augment(image, rng)

    def _square(self, image: Image.Image) -> Image.Image:
        if self.fit == "squash":
            return self._resize(image, self.size, self.size)
        width, height = _shorter_side_to(self.size, image.width, image.height)
        image = self._resize(image, width, height)
        left, top = _centre(width, self.size), _centre(height, self.size)
        return image.crop((left, top, left + self.size, top + self.size))

    def _resize(self, image: Image.Image, width: int, height: int) -> Image.Image:
        if self.backend == "torch":
            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
            resized = F.interpolate(pixels, (height, width), mode="bicubic", antialias=True)[0]
            return Image.fromarray(resized.permute(1, 2, 0).contiguous().numpy())
        # Two calls, width first: in one call Pillow 13 chooses the order by cost, which moves pixels by a grey
        # level or two.
        for side in ((width, image.height), (width, height)):
            if image.size != side:
                image = image.resize(side, Image.Resampling.BICUBIC, reducing_gap=self.reducing_gap)
        return image

    def _square_tensor(
        self, pixels: Tensor, crop: tuple[float, float] | None, rng: np.random.Generator
    ) -> Tensor:
        height, width = self.size, self.size
        if crop is not None:
            left, top, right, bottom = random_crop_box(pixels.shape[2], pixels.shape[1], crop, rng)
            pixels = pixels[:, top:bottom, left:right]
        elif self.fit == "centre_crop":
            width, height = _shorter_side_to(self.size, pixels.shape[2], pixels.shape[1])
        if pixels.shape[1:] != (height, width):
            resized = F.interpolate(pixels[None], (height, width), mode="bicubic", antialias=True)
            pixels = resized[0].clamp(0, 1)
        top, left = _centre(height, self.size), _centre(width, self.size)
        return pixels[:, top : top + self.size, left : left + self.size]


def random_crop_box(
    width: int, height: int, share: tuple[float, float], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Draw a crop (left, top, right, bottom) in pixels: area uniform in `share`, ratio log-uniform in
    3/4..4/3.

    After ten draws that do not fit, the largest middle part with an allowed ratio is taken.
    """
    low, high = (math.log(r) for r in _CROP_RATIO)
    for _ in range(10):
        area = width * height * rng.uniform(*share)
        ratio = math.exp(rng.uniform(low, high))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    ratio = min(max(width / height, _CROP_RATIO[0]), _CROP_RATIO[1])
    w, h = min(width, max(1, round(height * ratio))), min(height, max(1, round(width / ratio)))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def _shorter_side_to(size: int, width: int, height: int) -> tuple[int, int]:
    if width <= height:
        return size, int(size * height / width)
    return int(size * width / height), size


def _centre(length: int, size: int) -> int:
    return round((length - size) / 2)


def is_float(raw: ImageInput) -> TypeGuard[NDArray[np.floating] | Tensor]:
    """Return whether an image is an array or tensor of floats."""
    if isinstance(raw, Tensor):
        return raw.is_floating_point()
    return isinstance(raw, np.ndarray) and raw.dtype.kind == "f"


def _checked(pixels: Tensor) -> Tensor:
    check_sides(pixels.shape[2], pixels.shape[1])
    pixels = pixels.to(torch.float32)
    if not bool(((pixels >= 0) & (pixels <= 1)).all()):
        raise UserError(
            f"a float image must lie in 0..1, got {pixels.min():.3g}..{pixels.max():.3g}; "
            "divide by 255 or pass uint8"
        )
    return pixels


def normalise(pixels: Tensor) -> Tensor:
    """Shift and scale the colours of (3, H, W) in 0..1 as the original does, by the mean and deviation of CLIP."""
    mean, std = torch.tensor(CLIP_MEAN)[:, None, None], torch.tensor(CLIP_STD)[:, None, None]
    return (pixels - mean).div_(std)


def denormalise(pixels: Tensor) -> NDArray[np.uint8]:
    """Undo :func:`normalise`; return an image (H, W, 3) uint8."""
    mean, std = torch.tensor(CLIP_MEAN)[:, None, None], torch.tensor(CLIP_STD)[:, None, None]
    colours = (pixels.float().cpu() * std + mean).clamp(0, 1) * 255
    return colours.round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
