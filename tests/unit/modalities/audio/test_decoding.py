"""Sounds as they come: lying headers, odd rates, far too long, too loud, no files."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from onepeace_pl.modalities import AudioProcessor
from onepeace_pl.modalities.audio import decoding as audio_file
from onepeace_pl.modalities.audio.decoding import open_audio

RATE = 16_000
TONE = (0.3 * np.sin(np.arange(RATE) / 10)).astype(np.float32)


def test_a_header_that_promises_terabytes(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", TONE, RATE)
    expected = AudioProcessor()(tmp_path / "a.mp3").values
    broken = bytearray((tmp_path / "a.mp3").read_bytes())
    tag = broken.find(b"Xing")
    broken[tag + 8 : tag + 12] = b"\x7f\xff\xff\xff"  # number of frames
    (tmp_path / "b.mp3").write_bytes(broken)
    with soundfile.SoundFile(tmp_path / "b.mp3") as file:
        assert file.frames > 1e12
    _, wave, rate = open_audio(tmp_path / "b.mp3", RATE)
    assert rate == RATE
    assert RATE <= len(wave) < RATE + 2000  # as long as there is something to decode
    torch.testing.assert_close(
        AudioProcessor()(tmp_path / "b.mp3").values[:8000], expected[:8000], atol=0.05, rtol=0
    )


def test_a_file_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stereo = np.random.default_rng(0).uniform(-1, 1, (5000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", stereo, RATE, subtype="FLOAT")
    monkeypatch.setattr(audio_file, "_BLOCK", 1000)
    _, wave, _ = open_audio(tmp_path / "a.wav", RATE)
    assert torch.equal(wave, torch.from_numpy(stereo).mean(1))
    monkeypatch.setattr(audio_file, "MOST_SAMPLES", 4000)
    with pytest.raises(ValueError, match=r"a\.wav: longer than 0.25 seconds; cut it, or leave it out"):
        open_audio(tmp_path / "a.wav", RATE)
    monkeypatch.setattr(audio_file, "MOST_SAMPLES", 1 << 27)
    assert len(open_audio(tmp_path / "a.wav", RATE, max_seconds=5000 / RATE)[1]) == 5000
    with pytest.raises(ValueError, match=r"a\.wav: longer than 0.3 seconds"):
        open_audio(tmp_path / "a.wav", RATE, max_seconds=0.3)


def test_a_file_with_fewer_frames_than_channels(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([[0.25, 0.75, 0.5]], np.float32), RATE, subtype="FLOAT")
    assert open_audio(tmp_path / "a.wav", RATE)[1].tolist() == [0.5]


@pytest.mark.parametrize("rate", [0, -1, 8000.5, float("nan"), float("inf"), 12, 10**9])
def test_rates_that_cannot_be(rate: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a rate of .* Hz; it must be a whole number from 1000 to 768000"):
        AudioProcessor(resample=True)((TONE, rate))
    if rate in (12, 10**9):
        soundfile.write(tmp_path / "a.wav", TONE, int(rate))
        with pytest.raises(ValueError, match=r"a\.wav: a rate of"):
            AudioProcessor(resample=True)(tmp_path / "a.wav")


def test_sounds_of_many_channels(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((10, 100), np.float32), RATE)
    with pytest.raises(ValueError, match=r"a\.wav: 100 channels; leave it out, or keep 64 or fewer"):
        AudioProcessor()(tmp_path / "a.wav")


def test_samples_that_would_overflow_when_normalised(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", TONE * 1e38, RATE, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"a\.wav: samples of up to 3e\+37, which should lie in -1\.\.1"):
        AudioProcessor()(tmp_path / "a.wav")
    loud = AudioProcessor()(TONE * 1e9).values
    torch.testing.assert_close(loud, AudioProcessor()(TONE).values, atol=1e-3, rtol=0)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", "/dev/zero"):
        with pytest.raises(ValueError, match=r"unreadable audio .*not a regular file"):
            AudioProcessor()(path)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_broken_sounds_are_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    path, rng = tmp_path / f"a.{kind}", np.random.default_rng(3)
    soundfile.write(path, TONE[:4000], RATE)
    whole, refused = path.read_bytes(), []
    for _ in range(60):
        broken = bytearray(whole)
        for place in rng.integers(min(len(broken), 100), size=3):
            broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        try:
            sample = AudioProcessor(resample=True, max_seconds=1)(path)
            assert bool(torch.isfinite(sample.values).all())
        except ValueError as error:
            refused.append(str(error))
    assert refused
    assert all(line.startswith(str(path)) and "\n" not in line for line in refused)
