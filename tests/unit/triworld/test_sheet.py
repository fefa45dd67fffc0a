from pathlib import Path

import numpy as np
from PIL import Image

from onepeace_pl.triworld.sheet import draw_sheet, spectrogram


def test_a_page_of_scenes(tmp_path: Path) -> None:
    page = np.asarray(Image.open(draw_sheet(tmp_path / "a" / "sheet.png", "val", scenes=5)))
    assert page.shape[2] == 3
    upper, lower = page[: len(page) // 2], page[len(page) // 2 :]
    assert upper.std() > 40  # three scenes above, two below
    assert lower[:, :250].std() > 40
    assert lower[:, 600:].std() < 5


def test_a_tone_is_a_line() -> None:
    tone = np.sin(2 * np.pi * 2000 * np.arange(16000) / 16000).astype(np.float32)
    picture = spectrogram(tone, 64, 50)
    assert picture.shape == (64, 50)
    assert abs(picture[:, 25].argmax() - 48) <= 1  # a quarter of the way up to 8 kHz
