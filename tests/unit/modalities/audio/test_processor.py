from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from onepeace_pl.modalities import AudioProcessor, count_frames

RATE = 16_000


def tone(seconds: float, rate: int = RATE, pitch: float = 440.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate) + 0.1).astype(np.float32)


def test_every_kind_of_sound_gives_the_same(tmp_path: Path) -> None:
    wave = tone(1.5)
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    processor = AudioProcessor()
    expected = processor(wave)
    assert expected.length == count_frames(len(wave)) == 74
    assert expected.values.mean().abs() < 1e-5
    assert expected.values.std() == pytest.approx(1, abs=1e-3)
    stereo = np.stack([wave, wave])
    for raw in (
        tmp_path / "a.wav", str(tmp_path / "a.wav"), (wave, RATE), torch.from_numpy(wave), stereo, stereo.T,
        (stereo, RATE),
    ):  # fmt: skip
        torch.testing.assert_close(processor(raw).values, expected.values, atol=1e-5, rtol=0)


def test_short_clips_are_repeated_and_long_ones_cut() -> None:
    processor = AudioProcessor(max_seconds=2, min_seconds=1)
    short = processor(tone(0.4)).values
    assert len(short) == RATE
    assert torch.equal(short[:6400], short[6400:12800])
    with pytest.warns(UserWarning, match=r"3\.00 s were cut to the first 2 s"):
        assert len(processor(tone(3)).values) == 2 * RATE
    assert processor.truncations.count == 1


def test_collate_pads_with_zeros() -> None:
    processor = AudioProcessor()
    short, long = processor(tone(1)), processor(tone(2))
    batch = processor.collate([short, long])
    assert batch.values.shape == (2, 2 * RATE)
    assert not batch.values[0, RATE:].any()
    assert batch.padding is not None
    assert (~batch.padding).sum(1).tolist() == [50, 100]
    assert processor.collate([short, short]).padding is None


def test_another_rate_is_an_error_unless_asked_for() -> None:
    with pytest.raises(ValueError, match=r"8000 Hz instead of 16000; convert it, or set resample: true"):
        AudioProcessor()((tone(1, 8000), 8000))
    resampled = AudioProcessor(resample=True)((tone(1, 8000), 8000))
    middle = slice(2000, 14_000)
    expected = AudioProcessor()(tone(1)).values
    torch.testing.assert_close(resampled.values[middle], expected[middle], atol=0.02, rtol=0)


def test_silence_is_kept_as_zeros_where_asked() -> None:
    for level in (0.0, 0.25, -1.0):
        sample = AudioProcessor(silence="keep")(np.full(RATE // 2, level, np.float32))
        assert sample.values.shape == (RATE,)  # repeated, as every short clip
        assert float(sample.values.abs().max()) < 1e-4
        assert sample.length == 49
    with pytest.raises(ValueError, match="silence='drop' is unknown"):
        AudioProcessor(silence="drop")


def test_what_is_no_sound_is_refused(tmp_path: Path) -> None:
    processor = AudioProcessor()
    with pytest.raises(ValueError, match=r"gone\.wav: no such audio"):
        processor(tmp_path / "gone.wav")
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    with pytest.raises(ValueError, match=r"bad\.wav: unreadable audio"):
        processor(tmp_path / "bad.wav")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    with pytest.raises(ValueError, match=r"empty\.wav: empty audio"):
        processor(tmp_path / "empty.wav")
    with pytest.raises(ValueError, match="silent audio"):
        processor(np.zeros(RATE, np.float32))
    with pytest.raises(ValueError, match="not finite"):
        processor(np.full(RATE, np.nan, np.float32))
    with pytest.raises(TypeError, match=r"floats in -1\.\.1, got torch\.int16"):
        processor(np.zeros(RATE, np.int16))
    with pytest.raises(TypeError, match="got int"):
        processor(5)
