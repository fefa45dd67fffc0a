"""Pictures as they come: turned, deep, stretched, broken, hostile."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onepeace_pl.modalities import ImageProcessor
from onepeace_pl.modalities.image.decoding import header_sizes, load_image, open_image

UPRIGHT = np.zeros((4, 6, 3), np.uint8)  # red above, green on the left of what is below
UPRIGHT[:2] = (250, 0, 0)
UPRIGHT[2:, :2] = (0, 250, 0)
STORED = {  # what a camera stores under each orientation
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.swapaxes(0, 1),
    6: UPRIGHT.swapaxes(0, 1)[::-1],
    7: UPRIGHT.swapaxes(0, 1)[::-1, ::-1],
    8: UPRIGHT.swapaxes(0, 1)[:, ::-1],
}


def encoded(picture: Image.Image, kind: str = "PNG", orientation: int | None = None) -> bytes:
    exif, file = Image.Exif(), io.BytesIO()
    if orientation is not None:
        exif[0x0112] = orientation
    picture.save(file, kind, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_says(kind: str, orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    raw = encoded(stored, kind, orientation)
    assert np.array_equal(np.asarray(open_image(raw)), UPRIGHT)
    opened = Image.open(io.BytesIO(raw))
    assert np.array_equal(np.asarray(open_image(opened)), UPRIGHT)
    assert np.array_equal(np.asarray(open_image(open_image(opened))), UPRIGHT)
    assert torch.equal(ImageProcessor(size=16)(raw).values, ImageProcessor(size=16)(UPRIGHT).values)
    assert header_sizes(raw)[1] == (6, 4)


def test_labels_that_declare_the_stored_size_keep_the_picture_as_stored() -> None:
    raw = encoded(Image.fromarray(np.ascontiguousarray(STORED[6])), orientation=6)
    assert header_sizes(raw) == ((4, 6), (6, 4))
    assert np.array_equal(np.asarray(open_image(raw, (4, 6))), STORED[6])
    assert np.array_equal(np.asarray(open_image(raw, (6.0, 4.0))), UPRIGHT)
    assert np.array_equal(np.asarray(open_image(open_image(raw, (4, 6)))), STORED[6])


def test_an_orientation_that_cannot_be_read_is_none() -> None:
    for exif in (b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0", b"II*\0\xff\xff\xff\xff"):
        file = io.BytesIO()
        Image.fromarray(UPRIGHT).save(file, "PNG", exif=exif)
        assert np.array_equal(np.asarray(open_image(file.getvalue())), UPRIGHT)
    assert np.array_equal(np.asarray(open_image(encoded(Image.fromarray(UPRIGHT), orientation=77))), UPRIGHT)


def test_sixteen_bits_of_grey_are_scaled_not_cut() -> None:
    levels = np.array([[0, 128, 257, 514, 32768, 65535]], np.uint16)
    expected = [0, 0, 1, 2, 128, 255]
    pictures = [
        encoded(Image.fromarray(levels)),
        encoded(Image.fromarray(levels), "TIFF"),
        Image.fromarray(levels.astype(np.int32)),
        Image.fromarray((levels / 65535).astype(np.float32)),
    ]
    for picture in pictures:
        assert np.asarray(open_image(picture))[0].tolist() == [[level] * 3 for level in expected]
    for wrong in (np.full((2, 2), 70_000, np.int32), np.full((2, 2), np.nan, np.float32)):
        with pytest.raises(ValueError, match=r"grey levels from .*; store whole numbers of 8 or 16 bits"):
            open_image(Image.fromarray(wrong))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"])
def test_pictures_of_any_mode(mode: str) -> None:
    picture = open_image(Image.new(mode, (5, 4)))
    assert (picture.mode, picture.size) == ("RGB", (5, 4))


def test_a_mode_without_colours() -> None:
    with pytest.raises(ValueError, match="an image: mode La is no image's"):
        open_image(Image.new("La", (5, 4)))


def test_the_first_frame_of_an_animation() -> None:
    file = io.BytesIO()
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    first.save(file, "GIF", save_all=True, append_images=[second])
    assert np.asarray(open_image(file.getvalue()))[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (70_000, 2), (0, 5)])
@pytest.mark.parametrize("fit", ["squash", "centre_crop"])
def test_threads_are_refused(size: tuple[int, int], fit: str, tmp_path: Path) -> None:
    processor = ImageProcessor(size=32, fit=fit)  # type: ignore[arg-type]
    message = rf"{size[0]} x {size[1]} pixels; sides are 1 to 65535 pixels long, and one at most 100 times"
    with pytest.raises(ValueError, match=message):
        processor(Image.new("RGB", size))
    with pytest.raises(ValueError, match=message):
        processor(torch.zeros(3, size[1], size[0]))
    if min(size):
        Image.new("L", size).save(tmp_path / "thread.png")
        with pytest.raises(ValueError, match=rf"thread\.png: {message}"):
            processor(tmp_path / "thread.png")


@pytest.mark.parametrize(
    "kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM", "JPEG2000", "TGA", "PCX"]
)
def test_broken_pictures_are_refused_in_one_line(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    whole, rng = encoded(Image.fromarray(noise), kind), np.random.default_rng(1)
    refused = []
    for _ in range(60):
        broken = bytearray(whole)
        for place in rng.integers(min(len(broken), 400), size=8):
            broken[place] ^= 1 << int(rng.integers(8))
        try:
            open_image(bytes(broken[: len(whole) - int(rng.integers(40))]))
        except ValueError as error:
            refused.append(str(error))
    assert refused
    assert all("image" in line and "\n" not in line for line in refused)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero")):
        with pytest.raises(ValueError, match=r"unreadable image \(.*not a regular file.*\)"):
            open_image(path)
        with pytest.raises(ValueError, match=r"unreadable mask \(.*not a regular file.*\)"):
            load_image(path, "mask")
    with pytest.raises(ValueError, match="unreadable image"):
        open_image("a\0b.png")


def test_pictures_that_are_programs_are_not_run() -> None:
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n"
    with pytest.raises(ValueError, match=r"unreadable image \(not an image file\)"):
        open_image(program)
