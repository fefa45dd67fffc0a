from pathlib import Path

import numpy as np
import pytest
import torch

from onepeace_pl.callbacks.gallery import RIGHT, draw_gallery
from onepeace_pl.data.source import Row, Source
from onepeace_pl.metrics import RetrievalMetric
from onepeace_pl.results.spectrogram import spectrogram


def test_a_tone_is_one_bright_line_at_its_pitch() -> None:
    rate, pitch = 16000, 1000.0
    picture = spectrogram(np.sin(2 * np.pi * pitch * np.arange(rate) / rate).astype(np.float32), rate)
    assert picture.shape[0] == 128
    brightest = picture[:, 20:-20].mean(1).argmax()
    found = np.geomspace(rate / 2, 60, 128)[brightest]
    assert found == pytest.approx(pitch, rel=0.05)


def test_silence_and_a_click_are_drawn_too() -> None:
    assert np.isfinite(spectrogram(np.zeros(100, dtype=np.float32), 16000)).all()
    assert spectrogram(np.ones(1, dtype=np.float32), 8000).shape[0] == 128


class Mixed(Source):
    """Rows whose fields are of every raw kind: files, arrays, sensors."""

    modalities = ("image", "audio", "motion", "text")

    def __init__(self, folder: Path) -> None:
        import soundfile
        from PIL import Image

        self.folder = folder
        Image.fromarray(np.full((6, 6, 3), 200, dtype=np.uint8)).save(folder / "a.png")
        soundfile.write(folder / "a.wav", np.zeros((800, 2), dtype=np.float32), 16000)

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Row:
        fields = {
            "image": [
                str(self.folder / "a.png"),
                self.folder / "a.png",
                (self.folder / "a.png").read_bytes(),
            ][index],
            "audio": str(self.folder / "a.wav"),
            "motion": np.random.default_rng(index).normal(size=(6, 50)).astype(np.float32),
            "text": "a very long sentence " * 20,
        }
        return Row(str(index), fields)


@pytest.mark.parametrize(("query", "target"), [(("image", "text"), ("audio",)), (("motion",), ("image",))])
def test_raw_values_of_every_kind(query: tuple[str, ...], target: tuple[str, ...], tmp_path: Path) -> None:
    from matplotlib.colors import to_rgb
    from PIL import Image

    metric = RetrievalMetric(query, target)
    metric.update(torch.eye(3), torch.eye(3), ["0", "1", "2"], torch.arange(3))
    draw_gallery({"g": metric.compute()}, {"g": Mixed(tmp_path)}, tmp_path / "gallery.png")
    picture = np.asarray(Image.open(tmp_path / "gallery.png").convert("RGB")).astype(int)
    green = np.array(to_rgb(RIGHT)) * 255
    assert (np.abs(picture - green).sum(2) < 6).sum() > 500  # frames around the right answers


def test_a_gallery_without_rows_is_left_out(tmp_path: Path) -> None:
    draw_gallery({}, {}, tmp_path / "gallery.png")
    assert not (tmp_path / "gallery.png").exists()
