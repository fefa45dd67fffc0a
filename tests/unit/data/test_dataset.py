import numpy as np
import pytest
import torch

from onepeace_pl.data.batches import Row
from onepeace_pl.data.collate import Collator
from onepeace_pl.data.dataset import PreparedRows
from onepeace_pl.modalities.processors import ImageProcessor, TextProcessor
from onepeace_pl.modalities.tokenizer import Tokenizer


class Pictures:
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
        takes_epoch = True

        def __getitem__(self, key: int | tuple[int, int]) -> Row:  # type: ignore[override]
            epoch, index = key if isinstance(key, tuple) else (0, key)
            return super().__getitem__((epoch + index) % 8)

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
