"""Pictures and sounds, number for number."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from onepeace_pl.modalities import AudioProcessor, ImageProcessor, count_frames
from onepeace_pl.modalities.image.adapter import PATCH

from .files import record, tensors

RATE = 16000


@pytest.fixture(scope="module")
def folder(golden: Path) -> Path:
    return golden / "preprocess"


@pytest.fixture(scope="module")
def meta(folder: Path) -> Any:
    return record(folder, "meta")


def test_pictures(folder: Path, meta: Any) -> None:
    expected = tensors(folder, "images")
    fits = {"square": "squash", "grounding": "squash", "centre_crop": "centre_crop"}
    compared = set()
    for key, tensor in expected.items():
        name, kind = key.split(".")
        variant, _, size = kind.rpartition("_")
        if variant == "grounding_box":
            continue
        ours = ImageProcessor(size=int(size), fit=fits[variant])  # type: ignore[arg-type]
        for raw in (folder / f"{name}.png", Image.open(folder / f"{name}.png")):
            sample = ours(raw)
            torch.testing.assert_close(sample.values, tensor, atol=1e-6, rtol=0, msg=key)
            assert sample.length == (int(size) // PATCH) ** 2
        compared.add(variant)
    assert compared == fits.keys()


@pytest.mark.filterwarnings("ignore:.*were cut")
def test_sounds(folder: Path, meta: Any) -> None:
    expected = tensors(folder, "audio")
    if list(folder.glob("audio_long*.safetensors")):  # a long clip takes much room
        expected |= tensors(folder, "audio_long")
    for key, wave in expected.items():
        name, kind = key.split(".")
        seconds = 2.0 if kind == "dataset_2s" else 15.0
        sample = AudioProcessor(max_seconds=seconds)(folder / f"{name}.wav")
        torch.testing.assert_close(sample.values, wave, atol=1e-5, rtol=0, msg=key)
        if kind.startswith("dataset"):
            assert sample.length + 1 == meta["audio"][name][f"padding_mask_len_{int(seconds)}s"]


@pytest.mark.filterwarnings("ignore:.*were cut")
def test_batch_of_sounds(folder: Path, meta: Any) -> None:
    ours = AudioProcessor()
    expected = meta["audio"]["batch_of_all_by_embedding_interface"]
    samples = []
    for name in expected["order"]:
        path = folder / f"{name}.wav"
        # shapes and padding alone are compared, so noise stands for a clip that is not there
        noise = np.random.default_rng(0).standard_normal(meta["audio"][name]["samples_in"], np.float32)
        samples.append(ours(path if path.exists() else (noise, RATE)))
    batch = ours.collate(samples)
    assert list(batch.values.shape) == expected["src_audios_shape"]
    assert batch.padding is not None
    assert list(batch.padding.shape) == expected["audio_padding_masks_shape"]
    assert (~batch.padding).sum(1).tolist() == expected["real_frames_plus_cls"]


def test_frames_by_samples(meta: Any) -> None:
    for samples, frames in meta["audio"]["frames_by_samples"].items():
        assert count_frames(int(samples)) == frames
