"""Labels to targets; what makes no sense is refused in one line that says what to do."""

import pickle

import numpy as np
import pytest
import torch

from onepeace_pl.data.labels.targets import (
    AnswersTarget,
    BoxTarget,
    ChoiceTarget,
    ClassesTarget,
    ClassTarget,
    FunctionTarget,
    TruthTarget,
)
from onepeace_pl.data.source import Labels
from onepeace_pl.errors import UserError

KINDS = ("bell", "drum", "horn")


def test_class_by_number_or_name() -> None:
    read = ClassTarget(KINDS)
    assert [int(read({"class": value})) for value in (2, "2", "horn", np.int64(2))] == [2] * 4
    assert read({"class": 0}).dtype == np.int64
    assert int(ClassTarget(("7", "3"))({"class": "3"})) == 1, "a name comes before a number"


def test_classes_in_any_form() -> None:
    read = ClassesTarget(KINDS)
    for given in ([0, 2], ["bell", "horn"], "bell, horn", "0,2"):
        assert read({"classes": given}).tolist() == [1, 0, 1]
    assert read({"classes": ""}).tolist() == [0, 0, 0]


def test_answers_outside_the_vocabulary_are_left_out() -> None:
    read = AnswersTarget(KINDS)
    assert read({"answers": {"bell": 0.3, "harp": 1.0, 2: 0.6}}).tolist() == pytest.approx([0.3, 0, 0.6])


def test_choice_by_number_or_text() -> None:
    read = ChoiceTarget()
    assert int(read({"answer": 1})) == 1
    assert int(read({"answer": "no", "choices": ["yes", "no"]})) == 1


def test_truth_comes_first() -> None:
    read = TruthTarget()
    assert [int(read({"truth": value})) for value in (True, "True", "false", False)] == [0, 0, 1, 1]


def test_box_in_shares_of_the_picture() -> None:
    target = BoxTarget()({"box": (10, 0, 40.5, 20), "image_size": (40, 80)})
    assert target.tolist() == pytest.approx([0.25, 0, 1, 0.25])


@pytest.mark.parametrize(
    ("read", "labels", "message"),
    [
        (ClassTarget(KINDS), {"class": "bel"}, r"did you mean 'bell'"),
        (ClassTarget(KINDS), {"class": 3}, r"class 3 is no number from 0 to 2"),
        (ClassTarget(KINDS), {"class": -1}, r"class -1 is no number"),
        (ClassTarget(KINDS), {"kind": 1}, r"no label 'class'; the row has kind"),
        (ClassesTarget(KINDS), {"classes": "bell,harp"}, r"class 'harp' is none of the 3"),
        (AnswersTarget(KINDS), {"answers": {"bell": 1.5}}, r"confidence 1.5 of answer 'bell'"),
        (
            ChoiceTarget(),
            {"answer": "maybe", "choices": ["yes", "no"]},
            r"'maybe' is not among the 2 choices",
        ),
        (ChoiceTarget(), {"answer": 4, "choices": ["a", "b"]}, r"answer 4 is not among the 2 choices"),
        (TruthTarget(), {"truth": "perhaps"}, r"truth 'perhaps' is neither true nor false"),
        (BoxTarget(), {"box": (10, 0, 5, 5), "image_size": (40, 40)}, r"is reversed or empty"),
        (BoxTarget(), {"box": (0, 0, 50, 5), "image_size": (40, 40)}, r"lies outside its image of 40 x 40"),
        (BoxTarget(), {"box": (0, 0, 5, 5)}, r"no label 'image_size'"),
    ],
)
def test_nonsense_is_named(read, labels, message) -> None:
    with pytest.raises(ValueError, match=message):
        read(labels)


def test_classes_must_be_there_and_differ() -> None:
    with pytest.raises(ValueError, match=r"data.init_args.classes"):
        ClassTarget(())
    with pytest.raises(ValueError, match=r"'bell' is named twice"):
        ClassTarget(("bell", "drum", "bell"))


def height(labels: Labels) -> float:
    return float(labels["height"])


def test_a_function_of_the_labels_is_a_reader() -> None:
    read = pickle.loads(pickle.dumps(FunctionTarget(height)))
    assert read.collate([read({"height": "1.5"}), read({"height": 2})]).equal(torch.tensor([1.5, 2.0]))
    with pytest.raises(UserError, match="no label 'height'; the row has width"):
        read({"width": 3})
