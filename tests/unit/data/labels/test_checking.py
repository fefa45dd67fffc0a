"""Labels of rows, looked at before anything trains."""

from typing import Any

import numpy as np
import pytest

from onepeace_pl.data.labels.checking import bad_labels, check_label
from onepeace_pl.data.labels.targets import BoxTarget, ClassTarget
from onepeace_pl.data.source import Row, Source

NAMES = ("cat", "dog", "rain")


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"class": "dog"},
        {"class": 2},
        {"class": np.int64(0)},
        {"class": "1"},
        {"classes": "cat, rain"},
        {"classes": [0, "dog"]},
        {"classes": ()},
        {"box": (0, 0, 40, 30), "image_size": (40, 30)},
        {"box": (-0.4, 0, 40.6, 30), "image_size": (40, 30)},  # rounded
        {"box": (1, 2, 3, 4)},
        {"answer": 3},
        {"answers": {"cat": 0.3, "a vocabulary leaves some out": 1.0, 2: 1}},
        {"truth": False},
        {"group": "counting"},
        {"what else": object()},
    ],
)
def test_what_a_task_can_use(labels: dict[str, Any]) -> None:
    check_label(labels, NAMES, choices=4)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"class": "dgo"}, r"class 'dgo' is none of the 3; did you mean 'dog'\?"),
        ({"class": 3}, "class 3 is no number from 0 to 2; count from 0"),
        ({"class": -1}, "class -1 is no number"),
        ({"class": True}, "class True is neither a number nor a name"),
        ({"class": 1.5}, "class 1.5 is neither"),
        ({"classes": "cat, bird of paradise"}, "class 'bird of paradise' is none of the 3; add it"),
        ({"classes": 7}, "classes 7 are no sequence"),
        ({"box": (5, 5, 5, 9)}, r"box \(5, 5, 5, 9\) is reversed or empty"),
        ({"box": (9, 1, 3, 4)}, "is reversed"),
        ({"box": (0, 0, 42, 30), "image_size": (40, 30)}, "lies outside its image of 40 x 30 pixels"),
        ({"box": (-2, 0, 4, 3), "image_size": (40, 30)}, "lies outside"),
        ({"box": (0, 0, float("nan"), 3)}, "is not four finite numbers"),
        ({"box": "1,2,3,4"}, "is not four finite numbers"),
        ({"box": (0, 0, 4, 3), "image_size": (0, 30)}, "is no width and height"),
        ({"answer": 4}, "answer 4 is not among the 4 choices"),
        ({"answer": -1}, "answer -1 is not among"),
        ({"answers": {"cat": 1.2}}, "confidence 1.2 of answer 'cat' is not in 0..1"),
        ({"answers": {"cat": "0.5"}}, "confidence '0.5'"),
        ({"answers": {3: 1.0}}, "answer 3 is no number from 0 to 2"),
        ({"answers": ["cat"]}, "are no mapping"),
        ({"truth": "maybe"}, "truth 'maybe' is neither true nor false"),
        ({"group": 3}, "group 3 is no text"),
    ],
)
def test_what_no_task_can_use(labels: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_label(labels, NAMES, choices=4)


def test_without_classes_names_are_taken_as_they_are() -> None:
    check_label({"class": "anything", "classes": ["a", 77]})


def test_tasks_take_what_the_check_lets_pass() -> None:
    for labels in ({"class": "dog"}, {"class": 2}, {"class": "1"}):
        check_label(labels, NAMES)
        ClassTarget(NAMES)(labels)
    labels = {"box": (-0.9, 0, 40.9, 30), "image_size": (40, 30)}
    check_label(labels)
    assert BoxTarget()(labels).max() == 1


class Rows(Source):
    modalities = ("text",)

    def __init__(self, *labels: dict[str, Any]) -> None:
        self.every = labels

    def __len__(self) -> int:
        return len(self.every)

    def __getitem__(self, index: int) -> Row:
        return Row(str(index), {"text": "a"}, self.every[index])


def test_every_row_is_looked_at_and_bad_ones_are_numbered() -> None:
    source = Rows({"class": "cat"}, {"class": "bat"}, {"class": 0}, {"class": 9})
    found = list(bad_labels(source, NAMES))
    assert [index for index, _ in found] == [1, 3]
    assert "did you mean 'cat'?" in found[0][1]


def test_a_source_that_knows_its_labels_makes_no_row() -> None:
    class Known(Rows):
        def labels(self) -> Any:
            def of(index: int) -> dict[str, Any]:
                if index == 1:
                    raise ValueError("a.tsv:3: nonsense")
                return self.every[index]

            return map(of, range(len(self)))

        def __getitem__(self, index: int) -> Row:
            raise AssertionError("made a row")

    found = list(bad_labels(Known({"class": 0}, {}, {"class": 7}), NAMES))
    assert found[0] == (1, "a.tsv:3: nonsense")
    assert found[1][0] == 2
