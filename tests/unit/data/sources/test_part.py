from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from onepeace_pl.data.evaluation.gallery import pair_galleries
from onepeace_pl.data.labels.checking import bad_labels
from onepeace_pl.data.source import Row, Source, as_source, labels_of
from onepeace_pl.data.sources import AudioTextTsv, ImageTextTsv, JoinedSource, PartSource


class Ten(Source):
    modalities = ("text",)
    classes = ("even", "odd")

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int, /) -> Row:
        return self.training_row(index, 0)

    def training_row(self, index: int, epoch: int) -> Row:
        return Row(f"{epoch}/{index}", {"text": f"number {index}"}, {"class": index % 2})

    def labels(self):
        return ({"class": index % 2} for index in range(10))


@pytest.fixture
def captions(tmp_path: Path) -> ImageTextTsv:
    """Twenty pictures with five captions each, a row a caption, as COCO and Flickr30k have them."""
    lines = [f"{i}\tpictures/{i}.jpg\tcaption {c} of {i}" for i in range(20) for c in range(5)]
    (tmp_path / "captions.tsv").write_text("\n".join(["image_id\timage\tcaption", *lines]) + "\n")
    return ImageTextTsv(str(tmp_path / "captions.tsv"))


def test_parts_share_no_row_and_leave_none_out() -> None:
    train, rest = PartSource(Ten(), 5, [0, 1, 2, 4]), PartSource(Ten(), 5, [3])
    ids = [source[i].id for source in (train, rest) for i in range(len(source))]
    assert sorted(ids) == sorted(f"0/{i}" for i in range(10))
    assert [rest[i].id for i in range(2)] == ["0/3", "0/8"]
    assert rest.training_row(1, 2).id == "2/8"
    assert list(rest.labels() or ()) == [{"class": 1}, {"class": 0}]
    assert list(rest.texts()) == ["number 3", "number 8"]
    assert rest.classes == ("even", "odd")


def test_folds_have_equal_shares_of_every_class() -> None:
    kinds = ["a"] * 12 + ["b"] * 3 + ["c"] + ["a"] * 8 + ["b"] * 7
    rows = as_source([Row(str(n), {"text": "x"}, {"class": kind}) for n, kind in enumerate(kinds)])
    parts = [PartSource(rows, 5, [fold], stratify="class") for fold in range(5)]
    counts = [Counter(labels["class"] for labels in labels_of(part)) for part in parts]
    assert [count["a"] for count in counts] == [4] * 5
    assert [count["b"] for count in counts] == [2] * 5
    assert [count["c"] for count in counts] == [1, 0, 0, 0, 0]  # the only one trains
    pair = as_source([Row(identity, {}, {"class": identity}) for identity in "aabb"])
    assert list(PartSource(pair, 2, [0], stratify="class").ids()) == ["a", "a", "b", "b"]
    with pytest.raises(ValueError, match="row 0 has no label 'kind'; there are class"):
        PartSource(rows, 5, [0], stratify="kind")


def test_rows_of_one_id_are_in_one_part(captions: ImageTextTsv) -> None:
    parts = [PartSource(captions, 5, [fold]) for fold in range(5)]
    ids = [set(part.ids()) for part in parts]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 20
    assert [len(part) for part in parts] == [20] * 5
    assert all([part[i].id for i in range(20)] == list(part.ids()) for part in parts)


def test_a_part_knows_what_its_source_knows(captions: ImageTextTsv, tmp_path: Path) -> None:
    part = PartSource(captions, 5, [1])
    (gallery,) = pair_galleries("part", part)
    assert gallery.one_per_id == part.one_per_id() == ("image",)
    assert part.files(0) == [str(tmp_path / "pictures/1.jpg")]
    assert next(part.texts()) == "caption 0 of 1"
    assert part.lengths() is None
    lines = [f"{i}\t{i}.wav\tsound {i}\t{i}.5" for i in range(6)]
    (tmp_path / "sounds.tsv").write_text("\n".join(["uniq_id\taudio\ttext\tduration", *lines]) + "\n")
    sounds = AudioTextTsv(str(tmp_path / "sounds.tsv"))
    last = PartSource(sounds, 3, [2])
    assert last.lengths() == [2.5, 5.5]
    joined = JoinedSource([last, sounds])
    assert joined.lengths() == [2.5, 5.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert list(joined.ids())[:3] == ["0/2", "0/5", "1/0"]
    assert joined[2].id == "1/0"
    assert joined.files(1) == [str(tmp_path / "5.wav")]


def test_every_bad_label_of_a_part_is_found() -> None:
    class Bad(Ten):
        def labels(self) -> Iterator[Mapping[str, Any]]:
            def of(index: int) -> Mapping[str, Any]:
                if index in (1, 6, 8):
                    raise ValueError(f"row {index} is damaged")
                return {"class": index % 2}

            return map(of, range(10))

    found = list(bad_labels(PartSource(Bad(), 5, [1, 3]), Bad.classes))
    assert found == [(0, "row 1 is damaged"), (2, "row 6 is damaged"), (3, "row 8 is damaged")]


@pytest.mark.parametrize(
    ("folds", "take", "message"), [(5, [5], "name folds"), (5, [], "name folds"), (20, [15], "no row")]
)
def test_mistakes_are_named(folds: int, take: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PartSource(Ten(), folds, take)
