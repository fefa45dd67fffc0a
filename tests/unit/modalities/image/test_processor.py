import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onepeace_pl.modalities import ImageProcessor
from onepeace_pl.modalities.image.decoding import open_image
from onepeace_pl.modalities.image.processor import CLIP_MEAN, CLIP_STD, denormalise, random_crop_box


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)


def test_every_kind_of_picture_gives_the_same(pixels: np.ndarray, tmp_path: Path) -> None:
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "a.png")
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    processor = ImageProcessor(size=32)
    expected = processor(pixels).values
    assert expected.shape == (3, 32, 32)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    for raw in (picture, tmp_path / "a.png", str(tmp_path / "a.png"), encoded.getvalue(), tensor):
        assert torch.equal(processor(raw).values, expected)
    floats = processor(tensor / 255).values
    assert (floats - expected).abs().mean() < 0.01  # not through whole grey levels


def test_normalisation_and_length(pixels: np.ndarray) -> None:
    square = pixels[:32, :32]
    sample = ImageProcessor(size=32, patch=8)(square)
    assert sample.length == 16
    for channel in range(3):
        expected = (square[..., channel] / 255 - CLIP_MEAN[channel]) / CLIP_STD[channel]
        np.testing.assert_allclose(sample.values[channel], expected, atol=1e-6)


def test_training_is_a_function_of_the_generator(pixels: np.ndarray) -> None:
    processor = ImageProcessor(size=32, train_blur=0.5)
    one, again, other = (
        processor(pixels, train=True, rng=np.random.default_rng(seed)).values for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    floats = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    cropped = ImageProcessor(size=32)(floats, train=True, rng=np.random.default_rng(1)).values
    assert not torch.equal(cropped, ImageProcessor(size=32)(floats).values)
    plain = ImageProcessor(size=32, train_crop=None)
    assert torch.equal(plain(pixels, train=True).values, plain(pixels).values)


@pytest.mark.parametrize(("width", "height"), [(64, 64), (100, 60), (7, 500), (500, 7), (1, 1)])
def test_crops_lie_inside_and_have_the_size_asked_for(width: int, height: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        left, top, right, bottom = random_crop_box(width, height, (0.9, 1.0), rng)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        if width == height == 64:
            assert (right - left) * (bottom - top) >= 0.85 * 64 * 64


def test_centre_crop_takes_the_middle() -> None:
    pixels = np.zeros((32, 96, 3), np.uint8)
    pixels[:, 32:64] = 255
    values = ImageProcessor(size=32, fit="centre_crop")(pixels).values
    assert bool((values > 1.9).all())


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    processor = ImageProcessor(size=32)
    with pytest.raises(ValueError, match=r"gone\.png: no such image"):
        processor(tmp_path / "gone.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"bad\.png: unreadable image \(not an image file\)"):
        processor(tmp_path / "bad.png")
    with pytest.raises(ValueError, match=r"uint8 \(height, width, 3\), got int64 \[8, 8, 3\]"):
        processor(np.zeros((8, 8, 3), np.int64))
    with pytest.raises(ValueError, match=r"got uint8 \[8, 8, 2\]"):
        processor(np.zeros((8, 8, 2), np.uint8))
    with pytest.raises(ValueError, match=r"0\.\.1, got 0\.\.255"):
        processor(torch.tensor([0.0, 255.0]).expand(3, 4, 2))
    with pytest.raises(TypeError, match="got int"):
        processor(3)
    with pytest.raises(ValueError, match="multiple of patch=16"):
        ImageProcessor(size=40)


def test_a_truncated_file_is_refused(pixels: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ValueError, match=r"cut\.jpg: unreadable image"):
        ImageProcessor(size=32)(path)


def test_a_picture_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(
        ValueError, match=r"huge\.png: unreadable image \(Image size \(4096 pixels\) exceeds limit"
    ):
        open_image(tmp_path / "huge.png")


def test_layouts_of_arrays_and_tensors() -> None:
    rng, processor = np.random.default_rng(0), ImageProcessor(size=32)
    picture = rng.integers(0, 256, (40, 50, 4), dtype=np.uint8)
    expected = processor(picture[:, :, :3]).values
    first = np.moveaxis(picture, 2, 0)
    for same in (picture, first, first[:3], torch.from_numpy(picture), torch.from_numpy(first.copy())):
        assert torch.equal(processor(same).values, expected)
    grey = picture[:, :, 0]
    expected = processor(grey).values
    assert torch.equal(processor(grey[:, :, None]).values, expected)
    assert torch.equal(processor(torch.from_numpy(grey.copy())[None]).values, expected)


def test_floats_of_any_layout_are_those_of_a_tensor() -> None:
    processor = ImageProcessor(size=32)
    picture = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))
    expected = processor(picture).values
    last = picture.permute(1, 2, 0).numpy()
    for same in (picture.numpy(), last, last.astype(np.float64), np.concatenate([last, last[:, :, :1]], 2)):
        assert torch.equal(processor(same).values, expected)
    assert torch.equal(processor(last[:, :, 0]).values[1], processor(last[:, :, :1].repeat(3, 2)).values[1])
    with pytest.raises(ValueError, match=r"0\.\.1, got 0\.\.255"):
        processor(np.linspace(0, 255, 64 * 3).reshape(8, 8, 3))


def test_files_that_are_open_or_of_a_dataset(tmp_path: Path) -> None:
    path, processor = tmp_path / "a.png", ImageProcessor(size=32)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    expected, content = processor(path).values, path.read_bytes()
    rows = [{"bytes": content, "path": None}, {"bytes": None, "path": str(path)}]
    for same in (content, bytearray(content), io.BytesIO(content), *rows):
        assert processor.is_single(same)
        assert torch.equal(processor(same).values, expected)
    with path.open("rb") as file:
        for _ in range(2):  # from its beginning each time
            assert torch.equal(processor(file).values, expected)
    with pytest.raises(ValueError, match="an image: a dict with the keys 'url'; it needs 'bytes' or 'path'"):
        processor({"url": "a.png"})
    with pytest.raises(ValueError, match="opened for text"):
        processor(io.StringIO("no image"))


def test_heic_is_read_or_names_what_reads_it(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    installed = importlib.util.find_spec("pillow_heif") is not None
    with pytest.raises(ValueError, match="unreadable image" if installed else "pip install pillow-heif"):
        ImageProcessor()(tmp_path / "a.heic")


def test_heic_is_read(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    picture = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    heif.from_pillow(Image.fromarray(picture)).save(tmp_path / "a.heic")
    found = ImageProcessor(size=32)(tmp_path / "a.heic").values
    torch.testing.assert_close(found, ImageProcessor(size=32)(picture).values, atol=0.1, rtol=0)


@pytest.mark.parametrize("fit", ["squash", "centre_crop"])
def test_a_photo_may_be_decoded_at_a_fraction_of_its_size(fit: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((1200, 900))
    turned = Image.Exif()
    turned[0x0112] = 6
    smooth.save(tmp_path / "a.jpg", quality=95)
    smooth.save(tmp_path / "turned.jpg", quality=95, exif=turned)
    smooth.save(tmp_path / "a.png")
    exact, fast = ImageProcessor(64, fit=fit), ImageProcessor(64, fit=fit, reducing_gap=3.0)  # type: ignore[arg-type]
    for name in ("a.jpg", "turned.jpg", "a.png"):
        one, two = (denormalise(each(tmp_path / name).values).astype(float) for each in (exact, fast))
        assert 0 < np.abs(one - two).mean() < 1.5  # of 255
    assert open_image(tmp_path / "a.jpg", least=192).size == (300, 225)
    assert open_image(tmp_path / "turned.jpg", least=192).size == (225, 300)
    assert open_image(tmp_path / "a.png", least=192).size == (1200, 900)
    with pytest.raises(ValueError, match=r"reducing_gap=0\.5 must be 1 or more, or null"):
        ImageProcessor(64, reducing_gap=0.5)


@pytest.mark.parametrize("fit", ["squash", "centre_crop"])
@pytest.mark.parametrize("train", [False, True])
def test_the_torch_backend_is_a_grey_level_away(fit: str, train: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (150, 210, 3), dtype=np.uint8)
    one, two = (
        denormalise(
            ImageProcessor(64, fit=fit, backend=name)(noise, train=train, rng=np.random.default_rng(1)).values
        )  # type: ignore[arg-type]
        for name in ("pil", "torch")
    )
    difference = np.abs(one.astype(int) - two)
    assert difference.max() <= 1
    assert 0 < (difference > 0).mean() < 0.01
    with pytest.raises(ValueError, match="backend='cv2' is unknown; choose pil or torch"):
        ImageProcessor(64, backend="cv2")  # type: ignore[arg-type]
