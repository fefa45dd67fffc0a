import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from onepeace_pl.data.loading.collate import Collator
from onepeace_pl.data.loading.dataset import PreparedRows
from onepeace_pl.data.source import Row, Source
from onepeace_pl.modalities import AudioProcessor, ImageProcessor, TextProcessor
from onepeace_pl.modalities.text.tokenizer import Tokenizer


class Pictures(Source):
    """Random pictures with captions; some are broken."""

    modalities = ("image", "text")

    def __init__(self, size: int = 8, broken: tuple[int, ...] = ()) -> None:
        self.size = size
        self.broken = broken

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Row:
        picture = np.random.default_rng(index).integers(0, 255, (40, 40, 3), np.uint8)
        text = "!" if index in self.broken else f"picture number {index}" + " and more" * (index % 3)
        return Row(f"id{index}", {"image": picture, "text": text}, {"number": index})


@pytest.fixture(scope="module")
def processors() -> dict:
    tokenizer = Tokenizer.train([f"picture number {i} and more" for i in range(9)], 300)
    return {"image": ImageProcessor(size=32, patch=16), "text": TextProcessor(tokenizer)}


def test_preparing_is_a_function_of_seed_epoch_and_row(processors: dict) -> None:
    def pixels(seed: int, epoch: int, index: int, chosen: dict = processors) -> torch.Tensor:
        return PreparedRows(Pictures(), chosen, seed, train=True)[epoch, index].fields["image"][0].values

    assert torch.equal(pixels(1, 2, 3), pixels(1, 2, 3))
    assert not torch.equal(pixels(1, 2, 3), pixels(1, 3, 3))
    assert not torch.equal(pixels(1, 2, 3), pixels(2, 2, 3))
    assert torch.equal(pixels(1, 2, 3), pixels(1, 2, 3, {"image": processors["image"]}))


def test_a_source_may_change_with_the_epoch(processors: dict) -> None:
    class Changing(Pictures):
        def training_row(self, index: int, epoch: int) -> Row:
            return self[(epoch + index) % 8]

    rows = PreparedRows(Changing(), processors, train=True)
    assert (rows[2, 3].id, rows[3, 3].id) == ("id5", "id6")
    assert PreparedRows(Changing(), processors)[3, 3].id == "id3"


def test_a_broken_row_is_named(processors: dict) -> None:
    rows = PreparedRows(Pictures(broken=(3,)), processors)
    with pytest.raises(
        ValueError, match=r"^row 3 \(id id3\): empty sentence '!'.*on_error: skip leaves such rows out"
    ):
        rows[0, 3]


def test_a_missing_modality_is_named(processors: dict) -> None:
    with pytest.raises(ValueError, match=r"row 0 \(id id0\): no audio; the row has image, text"):
        PreparedRows(Pictures(), {"audio": processors["text"]})[0, 0]


def test_skipping_replaces_in_training(processors: dict) -> None:
    def make() -> PreparedRows:
        return PreparedRows(Pictures(broken=(3,)), processors, train=True, on_error="skip")

    sample = make()[5, 3]
    assert sample.index != 3
    assert sample.id == f"id{sample.index}"
    assert [record.index for record in sample.skipped] == [3] * len(sample.skipped)
    assert make()[5, 3].index == sample.index
    batch = Collator(processors)([make()[5, i] for i in (2, 3)])
    assert len(batch) == 2
    assert batch.skipped[0].id == "id3"


def test_skipping_leaves_out_in_evaluation(processors: dict) -> None:
    rows = PreparedRows(Pictures(broken=(3,)), processors, on_error="skip")
    batch = Collator(processors)([rows[0, i] for i in (2, 3, 4)])
    assert batch.indices.tolist() == [2, 4]
    assert [record.index for record in batch.skipped] == [3]
    with pytest.raises(ValueError, match="not one of 1 rows"):
        Collator(processors)([rows[0, 3]])


def test_when_all_is_broken_skipping_ends(processors: dict) -> None:
    rows = PreparedRows(Pictures(2, broken=(0, 1)), processors, train=True, on_error="skip")
    with pytest.raises(ValueError, match="rows in a row cannot be prepared; the first: row 1"):
        rows[0, 1]


def test_a_batch(processors: dict) -> None:
    rows = PreparedRows(Pictures(), processors, train=True)
    batch = Collator(processors)([rows[4, i] for i in (0, 1, 2)])
    assert batch.ids == ["id0", "id1", "id2"]
    assert batch.epoch == 4
    assert batch.labels[1] == {"number": 1}
    assert batch.inputs["image"].values.shape == (3, 3, 32, 32)
    text = batch.inputs["text"]
    assert text.padding is not None
    assert batch.lengths["text"].tolist() == [int(n) - 1 for n in (~text.padding).sum(1)]
    assert batch.lengths["image"].tolist() == [4, 4, 4]
    assert batch.word_starts["image"] == [None] * 3
    starts = batch.word_starts["text"][2]
    assert starts is not None
    assert len(starts) == batch.lengths["text"][2]


def test_a_batch_of_bad_rows_only_gets_a_row_of_another(processors: dict) -> None:
    rows = PreparedRows(Pictures(broken=(3, 4, 5)), processors, on_error="skip")
    batch = Collator(processors)(rows.__getitems__([(0, 3), (0, 4)]))
    assert batch.spare
    assert batch.indices.tolist() == [6]
    assert [record.index for record in batch.skipped] == [3, 4]
    assert not Collator(processors)(rows.__getitems__([(0, 5), (0, 6)])).spare
    assert rows.__getitems__([(0, 3)])[-1].index == 6
    hopeless = PreparedRows(Pictures(2, broken=(0, 1)), processors, on_error="skip")
    with pytest.raises(ValueError, match="not one of 2 rows can be prepared; the first: row 0"):
        hopeless.__getitems__([(0, 0)])


def broken_avif() -> bytes:
    """Return a picture of which Pillow's decoder raises a RuntimeError."""
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(file, "AVIF")
    for seed in range(1000):
        broken, rng = bytearray(file.getvalue()), np.random.default_rng(seed)
        for place in rng.integers(len(broken), size=8):
            broken[place] ^= 1 << int(rng.integers(8))
        try:
            Image.open(io.BytesIO(broken)).load()
        except RuntimeError:
            return bytes(broken)
        except (OSError, SyntaxError):
            continue
    raise AssertionError("none of 1000 broken pictures raises a RuntimeError")


def test_broken_media_are_rows_left_out(tmp_path: Path) -> None:
    class Files(Pictures):
        modalities = ("image", "audio")

        def __getitem__(self, index: int) -> Row:
            sound, picture = tmp_path / "a.wav", tmp_path / "a.png"
            if index == 1:
                sound = tmp_path / "b.mp3"
            if index == 2:
                picture = tmp_path / "b.png"
            if index == 3:
                picture = tmp_path / "c.avif"
            return Row(str(index), {"image": picture, "audio": sound})

    tone = np.sin(np.arange(16_000) / 10)
    soundfile.write(tmp_path / "a.wav", tone, 16_000)
    (tmp_path / "b.mp3").write_bytes(b"no sound")
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    Image.new("L", (1, 60_000)).save(tmp_path / "b.png")
    (tmp_path / "c.avif").write_bytes(broken_avif())
    processors = {"image": ImageProcessor(32, fit="centre_crop"), "audio": AudioProcessor()}
    rows = PreparedRows(Files(4), processors, on_error="skip")
    reasons = [rows[0, index].skipped[0].reason for index in (1, 2, 3)]
    assert [reason.split(":")[0] for reason in reasons] == ["row 1 (id 1)", "row 2 (id 2)", "row 3 (id 3)"]
    for reason, words in zip(
        reasons, ("unreadable audio", "1 x 60000 pixels", "unreadable image"), strict=True
    ):
        assert words in reason


def test_a_defect_is_no_bad_row(processors: dict) -> None:
    class Defect(ImageProcessor):
        def __call__(self, raw: Any, **options: Any) -> Any:
            raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        PreparedRows(Pictures(), {"image": Defect(32)}, on_error="skip")[0, 0]


def test_a_picture_is_turned_as_the_extent_of_its_box_says(tmp_path: Path) -> None:
    stored = np.zeros((32, 16, 3), np.uint8)
    stored[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    processor = ImageProcessor(16)

    class Boxes(Pictures):
        def __getitem__(self, index: int) -> Row:
            image_size = ((16, 32), (32, 16))[index]
            return Row(
                "a", {"image": str(tmp_path / "a.png")}, {"box": (0, 0, 4, 8), "image_size": image_size}
            )

    as_stored, upright = (PreparedRows(Boxes(2), {"image": processor})[0, index] for index in (0, 1))
    assert torch.equal(as_stored.fields["image"][0].values, processor(stored).values)
    assert torch.equal(upright.fields["image"][0].values, processor(np.rot90(stored, -1)).values)
