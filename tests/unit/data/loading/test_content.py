from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onepeace_pl.data.datamodule import PairsDataModule
from onepeace_pl.data.loading.content import content_of, digest, joint_content
from onepeace_pl.data.source import Row, Source
from onepeace_pl.modalities import ImageProcessor, ModalitySample, TextProcessor


class Captioned(Source):
    """Six pictures in files, of which two are copies, with four sentences."""

    modalities = ("image", "text")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for index in range(6):
            pixels = np.random.default_rng(max(index, 1)).integers(0, 255, (40, 40, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int, /) -> Row:
        text = ["a red bell", "a drum", " A  RED bell", "a bee", "a drum", "rain"][index]
        return Row(str(index), {"image": str(self.folder / f"{index}.png"), "text": text})

    def texts(self):
        return ("a red bell", "a drum", "a bee", "rain")


@pytest.fixture
def data(tmp_path: Path) -> PairsDataModule:
    processors = {"image": ImageProcessor(size=32, train_crop=(0.5, 1.0)), "text": TextProcessor()}
    rows = Captioned(tmp_path)
    made = PairsDataModule(processors=processors, train=rows, validation={"captions": rows}, batch_size=6)
    made.prepare_tokenizers()
    return made


def groups(contents: torch.Tensor, indices: torch.Tensor) -> list[int]:
    """For each row, in the order of the source, the first row that is equal to it."""
    ordered = contents[indices.argsort()].tolist()
    return [ordered.index(value) for value in ordered]


def test_equal_items_are_known_in_galleries_and_in_training(data: PairsDataModule) -> None:
    (gallery,) = data.evaluation_sets("validation")
    assert gallery.merge_duplicates
    (loader,) = data.val_dataloader()
    data.compare = True
    for batch in (next(iter(loader)), next(iter(data.train_dataloader()))):  # training crops at random
        assert groups(batch.contents["image"], batch.indices) == [0, 0, 2, 3, 4, 5]
        assert groups(batch.contents["text"], batch.indices) == [0, 1, 0, 3, 1, 5]
    data.compare = False
    assert next(iter(data.train_dataloader())).contents == {}


def test_kinds_of_raw_values() -> None:
    sample = [ModalitySample(torch.zeros(3), 1)]
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    kinds = [pixels, pixels.astype(np.float32), Image.fromarray(pixels), b"bytes", (pixels, 16000), {"a": 1}]
    found = [content_of(raw, sample, True) for raw in kinds]
    assert len(set(found)) == len(kinds)
    assert found == [content_of(raw, sample, True) for raw in kinds]
    assert len({content_of(raw, sample, False) for raw in kinds}) == 1  # what the model reads is the same
    assert digest([b"ab", b"c"]) != digest([b"a", b"bc"])


def test_joint_items_are_equal_where_all_parts_are() -> None:
    contents = {"audio": torch.tensor([1, 1, 2, 1]), "text": torch.tensor([5, 6, 5, 5])}
    joint = joint_content(contents, ("audio", "text"))
    assert joint is not None
    assert groups(joint, torch.arange(4)) == [0, 1, 2, 0]
    assert joint_content(contents, ("image",)) is None
