import importlib.util
import io
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
    with pytest.raises(TypeError, match=r"integers of 16 or 32 bits, got torch\.int64"):
        processor(np.zeros(RATE, np.int64))
    with pytest.raises(TypeError, match="got int"):
        processor(5)


def test_files_that_are_open_or_of_a_dataset(tmp_path: Path) -> None:
    path, processor = tmp_path / "a.wav", AudioProcessor()
    soundfile.write(path, tone(1.5), RATE, subtype="PCM_16")
    expected, content = processor(path).values, path.read_bytes()
    wave, rate = soundfile.read(path, dtype="float32")
    rows = [
        {"bytes": content, "path": None},
        {"bytes": None, "path": str(path)},
        {"array": wave, "sampling_rate": rate, "path": "gone.wav"},
        {"array": wave.tolist(), "sampling_rate": rate},
    ]
    for same in (content, bytearray(content), io.BytesIO(content), *rows):
        assert processor.is_single(same)
        assert torch.equal(processor(same).values, expected)
    with path.open("rb") as file:
        for _ in range(2):  # from its beginning each time
            assert torch.equal(processor(file).values, expected)
    with pytest.raises(ValueError, match="audio: a dict with the keys 'url'; it needs 'bytes' or 'path'"):
        processor({"url": "a.wav"})
    with pytest.raises(ValueError, match="8000 Hz instead of 16000"):
        processor({"array": wave, "sampling_rate": 8000})
    with pytest.raises(ValueError, match="audio of 8 bytes: unreadable audio"):
        processor(b"no sound")


@pytest.mark.parametrize(("subtype", "dtype"), [("PCM_16", "int16"), ("PCM_32", "int32")])
def test_integers_are_scaled_as_files_are(subtype: str, dtype: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1.5), RATE, subtype=subtype)
    wave, rate = soundfile.read(tmp_path / "a.wav", dtype=dtype)
    processor = AudioProcessor()
    for pair in ((wave, rate), (rate, wave), (rate, torch.from_numpy(wave))):
        assert processor.is_single(pair)
        assert torch.equal(processor(pair).values, processor(tmp_path / "a.wav").values)


def test_windows_cover_all_of_a_clip() -> None:
    processor, wave = AudioProcessor(max_seconds=2.0), tone(5)
    (whole,) = AudioProcessor(max_seconds=5.0).windows(wave)
    windows = processor.windows(wave)
    assert [len(each.values) for each in windows] == [2 * RATE] * 3
    for window, start in zip(windows, (0, 1.5, 3), strict=True):
        first = int(start * RATE)
        assert torch.equal(window.values, whole.values[first : first + 2 * RATE])
    (short,) = processor.windows(tone(0.5))
    assert torch.equal(short.values, processor(tone(0.5)).values)
    assert processor.truncations.count == 0


def test_m4a_is_read_or_names_what_reads_it(tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x18ftypM4A " + bytes(40))
    installed = importlib.util.find_spec("av") is not None
    with pytest.raises(ValueError, match="unreadable audio" if installed else r"onepeace-pl\[video\]"):
        AudioProcessor()(tmp_path / "a.m4a")


def test_m4a_is_read(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    wave = np.stack([tone(2.0), tone(2.0)])
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    for raw in (tmp_path / "a.m4a", (tmp_path / "a.m4a").read_bytes()):
        found = AudioProcessor()(raw).values
        assert abs(len(found) - 2 * RATE) <= 2048  # AAC's blocks
        peak = torch.fft.rfft(found - found.mean()).abs().argmax() * RATE / len(found)
        assert peak == pytest.approx(440, abs=1)
