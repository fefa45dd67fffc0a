"""Pictures and sounds, number for number."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from onepeace_pl.modalities.processors import AudioProcessor, ImageProcessor, count_frames

SOUNDS = ["short", "mid", "long", "stereo"]


@pytest.fixture(scope="module")
def folder(golden: Path) -> Path:
    return golden / "preprocess"


@pytest.fixture(scope="module")
def meta(folder: Path) -> Any:
    return json.loads((folder / "meta.json").read_text())


def test_pictures(folder: Path, meta: Any) -> None:
    expected = load_file(folder / "images.safetensors")
    fits = {"square": "squash", "grounding": "squash", "centre_crop": "centre_crop"}
    compared = 0
    for key, tensor in expected.items():
        name, kind = key.split(".")
        variant, _, size = kind.rpartition("_")
        if variant == "grounding_box":
            continue
        ours = ImageProcessor(size=int(size), fit=fits[variant])  # type: ignore[arg-type]
        for raw in (folder / f"{name}.png", Image.open(folder / f"{name}.png")):
            sample = ours(raw)
            torch.testing.assert_close(sample.values, tensor, atol=1e-6, rtol=0, msg=key)
            assert sample.length == (int(size) // 16) ** 2
        compared += 1
    assert compared == 10


def test_sounds(folder: Path, meta: Any) -> None:
    expected = {**load_file(folder / "audio.safetensors"), **load_file(folder / "audio_long.safetensors")}
    for key, wave in expected.items():
        name, kind = key.split(".")
        seconds = 2.0 if kind == "dataset_2s" else 15.0
        sample = AudioProcessor(max_seconds=seconds)(folder / f"{name}.wav")
        torch.testing.assert_close(sample.values, wave, atol=1e-5, rtol=0, msg=key)
        if kind.startswith("dataset"):
            assert sample.length + 1 == meta["audio"][name][f"padding_mask_len_{int(seconds)}s"]


def test_batch_of_sounds(folder: Path, meta: Any) -> None:
    ours = AudioProcessor()
    batch = ours.collate([ours(folder / f"{name}.wav") for name in SOUNDS])
    expected = meta["audio"]["batch_of_all_by_embedding_interface"]
    assert list(batch.values.shape) == expected["src_audios_shape"]
    assert batch.padding is not None
    assert list(batch.padding.shape) == expected["audio_padding_masks_shape"]
    assert (~batch.padding).sum(1).tolist() == expected["real_frames_plus_cls"]


def test_frames_by_samples(meta: Any) -> None:
    for samples, frames in meta["audio"]["frames_by_samples"].items():
        assert count_frames(int(samples)) == frames
