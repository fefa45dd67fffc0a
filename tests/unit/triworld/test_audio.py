import itertools
from dataclasses import replace

import numpy as np
import pytest

from onepeace_pl.triworld import Law, World
from onepeace_pl.triworld.audio import note, onsets, starts, synthesise
from onepeace_pl.triworld.world.factors import KINDS, RHYTHMS, SIZES


def spectra(wave: np.ndarray) -> np.ndarray:
    """(4 * bands,) loudness of four stretches in 40 bands of equal ratio."""
    edges = (np.geomspace(40, 8000, 41) / 8000 * 2048).astype(int)
    levels = []
    for stretch in wave[:5120].reshape(4, 1280):
        power = np.abs(np.fft.rfft(stretch, 4096)) ** 2
        bands = [power[a : b + 1].mean() for a, b in itertools.pairwise(edges)]
        levels.append(np.log(np.array(bands) + 1e-3))
    return np.concatenate(levels)


@pytest.mark.parametrize("seconds", [1.0, 2.5, 10.0])
def test_shape_and_range(seconds: float) -> None:
    wave = synthesise(World("train", 1)[0], seconds)
    assert wave.shape == (round(seconds * 16000),)
    assert wave.dtype == np.float32
    assert np.abs(wave).max() <= 1
    assert np.sqrt((wave**2).mean()) > 0.005


def test_16_bits_hold_it_exactly() -> None:
    for scene in World("train", 10):
        wave = synthesise(scene)
        assert (((wave * 32768).astype(np.int16) / np.float32(32768)) == wave).all()


def test_timbres_are_told_apart_by_their_spectrum() -> None:
    known = {(kind, size): spectra(note(kind, size, 1)) for kind in KINDS for size in SIZES}
    for kind in KINDS:
        for size in SIZES:
            heard = spectra(note(kind, size, 4))
            nearest = min(known, key=lambda key: float(((known[key] - heard) ** 2).sum()))
            assert nearest == (kind, size)


def test_small_is_higher() -> None:
    for kind in KINDS:
        centre = {}
        for size in SIZES:
            power = np.abs(np.fft.rfft(note(kind, size, 2))) ** 2
            centre[size] = (power * np.arange(len(power))).sum() / power.sum()
        assert centre["small"] > 1.15 * centre["large"], kind


def test_kinds_are_about_equally_loud() -> None:
    loud = [
        max(np.sqrt((note(k, s, 0)[i : i + 800] ** 2).mean()) for i in range(0, 4000, 800))
        for k in KINDS
        for s in SIZES
    ]
    assert max(loud) / min(loud) < 3


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_rhythm_is_in_the_sound(rhythm: str) -> None:
    """The loudness of a drum rises as often, and at the times, that its rhythm says."""
    scene = World("val", 1, Law((1, 1), "include"))[0]
    thing = replace(scene.objects[0], kind="drum", size="small", rhythm=rhythm, lead=0.0)
    scene = replace(scene, objects=(thing,), hiss=0.002)
    wave = synthesise(scene, 1.0)
    level = np.sqrt((wave[: 16000 // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1))  # 10 ms
    rises = [i for i in range(1, len(level)) if level[i] > 0.06 and level[i] > 2.5 * level[i - 1]]
    rises += [0] if level[0] > 0.06 else []
    expected = [starts(scene, 1.0)[0] + offset for offset in onsets(thing, 1.0)]
    rises.sort()
    merged = [rise for n, rise in enumerate(rises) if n == 0 or rise - rises[n - 1] > 2]
    assert len(merged) == len(expected)
    np.testing.assert_allclose(np.array(merged) / 100, expected, atol=0.02)


def test_speeding_up_speeds_up() -> None:
    thing = replace(World("val", 1)[0].objects[0], rhythm="speeding up")
    gaps = np.diff(onsets(thing, 1.0))
    assert (np.diff(gaps) < 0).all()


@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_the_order_of_objects_is_the_order_of_sounding(seconds: float) -> None:
    for scene in World("val", 200, Law((2, 4), "include")):
        begins = starts(scene, seconds)
        assert begins[0] >= 0
        assert min(np.diff(begins)) > 0.04
        assert begins[-1] < seconds * 0.93


def test_patterns_fit_into_a_second() -> None:
    late = [
        begin + onsets(thing, 1.0)[-1]
        for scene in World("train", 300, Law((1, 4)))
        for thing, begin in zip(scene.objects, starts(scene, 1.0), strict=True)
    ]
    assert max(late) < 0.85


def test_noise_is_at_a_random_level() -> None:
    levels = [scene.hiss for scene in World("train", 200)]
    assert min(levels) < 0.005 < 0.02 < max(levels)


@pytest.mark.parametrize("seconds", [0.5, 11.0])
def test_length_is_checked(seconds: float) -> None:
    with pytest.raises(ValueError, match=f"seconds={seconds}"):
        synthesise(World("train", 1)[0], seconds)
