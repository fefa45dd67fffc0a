"""Image decoding: any source -> RGB, upright. A broken file is a ``UserError``, whatever the decoder raises.

Boxes and masks are in pixels of the upright image, as viewers show it. Where the labels declare the size of the
image as stored, which has width and height the other way round, they are in pixels of the image as stored, and
it is not turned.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.files import EncodedFile, is_encoded, path_or_bytes
from onepeace_pl.utils.regular_files import require_regular, shown_path

Pixels = np.ndarray[Any, Any] | Tensor
ImageInput = EncodedFile | Image.Image | Pixels
"""Path, encoded bytes, open file, or ``{"path": ..., "bytes": ...}`` of Hugging Face datasets; PIL image; array or
tensor, uint8 or floats in 0..1, grey (H, W) or of 1, 3 or 4 channels, first or last."""

LONGEST_SIDE: Final = 65_535
"""Pixels of a side; JPEG can store no more."""

MOST_STRETCHED: Final = 100
"""How many times longer one side may be: resized by its shorter side, a longer image would fill the memory."""

_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS: Final = (5, 6, 7, 8)
_HEIC: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # brands
_PROGRAMS: Final = ("EPS", "WMF")  # not decoded but run, by Ghostscript or Windows


def open_image(
    raw: ImageInput, image_size: Sequence[float] | None = None, least: int | None = None
) -> Image.Image:
    """Return an RGB image, turned according to its EXIF orientation.

    Transparency is dropped, not blended; of an animation the first frame is taken; 16 bits of grey are scaled to 8.

    Args:
        raw: The image; arrays and tensors are uint8.
        image_size: Width and height in the labels, which show whether coordinates are those of the stored image.
        least: Pixels that both sides keep at least where a JPEG may be decoded at a half, quarter or eighth of its
            size, which is several times faster; None for the whole image.

    Raises:
        TypeError: If `raw` is no image.
        UserError: If a file is missing or unreadable, its sides are too long or too unequal, or an array has
            another shape or type.
    """
    name = "an image"
    if is_encoded(raw):
        file = path_or_bytes(raw, name)
        name = name if isinstance(file, bytes) else shown_path(file)
        raw = load_image(file, least=least)
    if isinstance(raw, Image.Image):
        check_sides(*raw.size, name)
        return _upright(_rgb(raw, name), _orientation(raw), image_size)
    if not isinstance(raw, np.ndarray | Tensor):
        raise TypeError(
            f"an image must be a path, bytes, file, PIL image, array or tensor, got {type(raw).__name__}"
        )
    pixels = colour_planes(raw)
    if pixels.dtype != torch.uint8 or not pixels.numel():
        raise _no_image(raw)
    check_sides(pixels.shape[2], pixels.shape[1])
    return Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))


def colour_planes(raw: Pixels) -> Tensor:
    """Return an image of an array or tensor as (3, H, W): grey is repeated, transparency dropped.

    Channels are first or last. Where both could be, they are first in a tensor and last in an array.

    Raises:
        UserError: It is neither uint8 nor of floats, or has another shape.
    """
    if not isinstance(raw, Tensor) and (raw.dtype != np.uint8 and raw.dtype.kind != "f"):
        raise _no_image(raw)
    pixels = raw.detach().cpu() if isinstance(raw, Tensor) else torch.from_numpy(np.ascontiguousarray(raw))
    if pixels.dim() == 2:
        pixels = pixels[None]
    if pixels.dim() != 3:
        raise _no_image(raw)
    axes = (0, 2) if isinstance(raw, Tensor) else (2, 0)
    axis = next((axis for sizes in ((3,), (1, 4)) for axis in axes if pixels.shape[axis] in sizes), None)
    if axis is None:
        raise _no_image(raw)
    planes = pixels if axis == 0 else pixels.permute(2, 0, 1)
    return planes.expand(3, -1, -1) if len(planes) == 1 else planes[:3]


def _no_image(raw: Pixels) -> UserError:
    return UserError(
        f"an image array must be uint8 (height, width, 3), got {raw.dtype} {list(raw.shape)}; or floats in 0..1, "
        "grey, with transparency, or channels first"
    )


def load_image(raw: str | Path | bytes, what: str = "image", least: int | None = None) -> Image.Image:
    """Decode a file or encoded bytes, as stored; ``least`` is that of :func:`open_image`.

    Raises:
        UserError: If it is missing or unreadable; says what of it, ``what`` being its name in the message.
    """
    with _opened(raw, what) as image:
        if least is not None:
            image.draft(None, (least, least))
        image.load()
    return image


def header_sizes(raw: str | Path | bytes) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (width, height) of an image as stored and upright; nothing is decoded.

    Raises:
        UserError: If it is missing or unreadable.
    """
    with _opened(raw, "image") as image:
        width, height = image.size
        # Pillow tells the upright size of a TIFF at once
        turned = image.format != "TIFF" and _orientation(image) in _QUARTER_TURNS
    return (width, height), ((height, width) if turned else (width, height))


def check_sides(width: int, height: int, name: str = "an image") -> None:
    """Reject an image without pixels, or with sides that are too long or too unequal.

    Raises:
        UserError: Names the image, its sides and what is allowed.
    """
    long, short = max(width, height), min(width, height)
    if short < 1 or long > LONGEST_SIDE or long > MOST_STRETCHED * short:
        raise UserError(
            f"{name}: {width} x {height} pixels; sides are 1 to {LONGEST_SIDE} pixels long, and one at most "
            f"{MOST_STRETCHED} times the other: cut it, or leave it out"
        )


@contextmanager
def _opened(raw: str | Path | bytes, what: str) -> Iterator[Image.Image]:
    """Open an image. Decoders fail in any way, so all that is raised within is the file's fault."""
    name = shown_path(raw) if not isinstance(raw, bytes) else f"{what} of {len(raw)} bytes"
    try:
        if not isinstance(raw, bytes):
            require_regular(raw)
        with _open(raw) as image:
            yield image
    except FileNotFoundError as error:
        raise UserError(f"{name}: no such {what}; check the path, or the root of the data set") from error
    except Exception as error:
        unknown = isinstance(error, UnidentifiedImageError)
        reason = (
            "not an image file"
            if unknown
            else shown_path(" ".join(str(error).split())) or type(error).__name__
        )
        raise UserError(f"{name}: unreadable {what} ({reason}); replace the file or leave it out") from error


def _open(raw: str | Path | bytes) -> Image.Image:
    def opened() -> Image.Image:
        return Image.open(io.BytesIO(raw) if isinstance(raw, bytes) else raw, formats=_formats())

    try:
        return opened()
    except UnidentifiedImageError:
        if not _is_heic(raw):
            raise
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise ValueError("HEIC needs pillow-heif: pip install pillow-heif") from error
    register_heif_opener()
    return opened()


def _is_heic(raw: str | Path | bytes) -> bool:
    if isinstance(raw, bytes):
        head = raw[:12]
    else:
        with open(raw, "rb") as file:
            head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC


def _formats() -> tuple[str, ...]:
    Image.preinit()  # the usual ones come first
    Image.init()
    return tuple(name for name in Image.ID if name not in _PROGRAMS)


def _upright(image: Image.Image, orientation: int, image_size: Sequence[float] | None) -> Image.Image:
    image.info = {}  # where the orientation stands, which must not be applied again
    swapped = (image.height, image.width)
    if (
        orientation in _QUARTER_TURNS
        and image_size is not None
        and tuple(image_size) == image.size != swapped
    ):
        return image
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # what cannot be read says nothing about the orientation
        return 1
    return found if isinstance(found, int) else 1


def _rgb(image: Image.Image, name: str) -> Image.Image:
    """Return a copy in colours; Pillow's own cuts more than 8 bits off at 255."""
    if image.mode[0] in "IF":
        return Image.fromarray(_eight_bits(np.asarray(image), name)).convert("RGB")
    try:
        return image.convert("RGB")
    except ValueError as error:
        raise UserError(f"{name}: mode {image.mode} is no image's ({error}); convert it to RGB") from error


def _eight_bits(grey: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Scale grey levels: whole numbers of 16 bits, or fractions."""
    most = 1 if grey.dtype.kind == "f" else 65_535
    if not (grey.min() >= 0 and grey.max() <= most):  # NaN, too
        raise UserError(
            f"{name}: grey levels from {grey.min():g} to {grey.max():g}; store whole numbers of 8 or 16 bits, or "
            "fractions in 0..1"
        )
    return (grey.astype(np.float64) * (255 / most)).round().astype(np.uint8)
