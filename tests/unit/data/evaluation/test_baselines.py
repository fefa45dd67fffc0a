"""Chance and the best constant answer, from labels alone."""

import pytest

from onepeace_pl.data.evaluation.baselines import baseline_references
from onepeace_pl.data.source import Row, RowList, Source


class Labels(Source):
    modalities = ("text",)

    def __init__(self, *labels: dict, text: object = "a") -> None:
        self.every, self.text = labels, text

    def __len__(self) -> int:
        return len(self.every)

    def __getitem__(self, index: int, /) -> Row:
        return Row(str(index), {"text": self.text}, self.every[index])

    def labels(self):
        return iter(self.every)


def test_one_class_a_row() -> None:
    found = baseline_references(
        Labels({"class": "a"}, {"class": "b"}, {"class": "a"}, {"class": 0}), ("a", "b", "c", "d")
    )
    assert (found["accuracy"].chance, found["accuracy"].baseline) == (0.25, 0.75)
    assert found["accuracy"].optimum is None


def test_other_labels() -> None:
    marks = baseline_references(Labels({"classes": "a"}, {"classes": "a,b"}), ("a", "b", "c"))["mAP"]
    assert marks.chance == pytest.approx(0.75), "over the classes that occur"
    choice = baseline_references(
        Labels({"answer": 1}, {"answer": 1}, {"answer": 0}, text=("x", "y", "z")), ()
    )["accuracy"]
    assert (choice.chance, choice.baseline) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    answers = baseline_references(
        Labels({"answers": {"a": 1.0}}, {"answers": {"a": 0.5, "b": 0.5}}), ("a", "b")
    )["accuracy"]
    assert (answers.chance, answers.baseline) == (0.5, 0.75)
    truth = baseline_references(Labels({"truth": True}, {"truth": True}, {"truth": False}), ())["accuracy"]
    assert (truth.chance, truth.baseline) == (0.5, pytest.approx(2 / 3))


def test_boxes() -> None:
    left, right = (
        {"box": (0, 0, 5, 10), "image_size": (10, 10)},
        {"box": (5, 0, 10, 10), "image_size": (10, 10)},
    )
    found = baseline_references(Labels(left, left, left, right), ())
    assert found["accuracy"].baseline == 0.75
    assert found["accuracy"].chance == pytest.approx((9 + 1) / 16)
    assert found["iou"].baseline == 0.75


def test_nothing_is_said_where_labels_are_unknown_or_wrong() -> None:
    assert baseline_references(Labels({"class": "q"}), ("a",)) == {}
    assert baseline_references(Labels({"colour": 1}), ("a",)) == {}
    assert baseline_references(RowList([Row("0", {"text": "a"}, {"class": "a"})]), ("a",)) == {}


def test_image_sizes_from_rows() -> None:
    class Late(Labels):
        def __getitem__(self, index: int, /) -> Row:
            return Row(str(index), {"text": "a"}, {**self.every[index], "image_size": (10, 10)})

    boxes = [{"box": (0, 0, 5, 10)}, {"box": (0, 0, 5, 10)}, {"box": (5, 0, 10, 10)}]
    assert baseline_references(Late(*boxes), ())["accuracy"].baseline == pytest.approx(2 / 3)
