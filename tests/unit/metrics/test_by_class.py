"""Results by class equal torchmetrics' where it has them; intervals and references are those of resampled and constant
answers."""

import numpy as np
import pytest
import torch
from torchmetrics.functional import classification as reference

from onepeace_pl.metrics.by_class import ByClass, average_precisions

CLASSES = ("bell", "drum", "horn", "bee", "never")
ROWS = 400


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true classes, imbalanced, two thirds right; the last class neither occurs nor is predicted."""
    generator = np.random.default_rng(0)
    true = generator.choice(4, ROWS, p=[0.6, 0.25, 0.1, 0.05])
    return np.where(generator.random(ROWS) < 0.67, true, generator.integers(0, 4, ROWS)), true


@pytest.fixture
def marks() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and multi-hot classes; the last class never occurs."""
    generator = np.random.default_rng(0)
    true = generator.random((ROWS, 5)) < np.array([0.5, 0.3, 0.2, 0.05, 0.0])
    scores = np.clip(0.35 * true + 0.6 * generator.random((ROWS, 5)), 0, 1).astype(np.float32)
    return scores, true


def test_one_class_a_row(answers: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, true = map(torch.from_numpy, answers)
    found = ByClass.of_indices(*answers, CLASSES)
    each = {"num_classes": 4, "average": "none"}
    for name, function in (
        ("precision", reference.multiclass_precision),
        ("recall", reference.multiclass_recall),
        ("F1", reference.multiclass_f1_score),
    ):
        assert found.metrics[name].values[:4] == pytest.approx(function(predicted, true, **each).numpy()), (
            name
        )
        assert np.isnan(found.metrics[name].values[4])
    assert found.support.tolist() == np.bincount(true, minlength=5).tolist()
    macro = {"num_classes": 5, "average": "macro"}
    assert found.overall["f1_macro"] == pytest.approx(
        reference.multiclass_f1_score(predicted, true, **macro).item()
    )
    assert found.overall["balanced_accuracy"] == pytest.approx(
        reference.multiclass_accuracy(predicted, true, **macro).item()
    )
    matrix = reference.multiclass_confusion_matrix(predicted, true, num_classes=5).numpy()
    assert (found.matrix() == matrix).all()
    assert found.curves == ()
    most = found.confusions(1)[0]
    assert most.count == matrix[most.true, most.predicted] == (matrix - np.diag(np.diag(matrix))).max()


def test_balanced_accuracy_leaves_out_classes_that_do_not_occur() -> None:
    found = ByClass.of_indices(np.array([0, 0, 2, 1]), np.array([0, 0, 0, 1]), ("a", "b", "c"))
    assert found.overall["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)


def test_intervals_hold_their_value_and_shrink_with_rows(answers: tuple[np.ndarray, np.ndarray]) -> None:
    def widths(times: int) -> dict[str, np.ndarray]:
        found = ByClass.of_indices(*(np.tile(each, times) for each in answers), CLASSES)
        for interval in found.intervals.values():
            assert interval.low < interval.value < interval.high
        for metric in found.metrics.values():
            assert metric.low is not None
            assert metric.high is not None
            assert (metric.low[:4] < metric.values[:4]).all()
            assert (metric.values[:4] < metric.high[:4]).all()
        classes = {name: metric.high[:4] - metric.low[:4] for name, metric in found.metrics.items()}
        return classes | {name: np.array([i.high - i.low]) for name, i in found.intervals.items()}

    once, often = widths(1), widths(16)
    for name, width in once.items():
        assert width / often[name] == pytest.approx(np.full(len(width), 4.0), rel=0.25), name


def test_all_right_leaves_no_doubt() -> None:
    found = ByClass.of_indices(np.arange(8) % 3, np.arange(8) % 3, ("a", "b", "c"))
    assert found.overall == {"balanced_accuracy": 1.0, "f1_macro": 1.0}
    assert {(i.low, i.high) for i in found.intervals.values()} == {(1.0, 1.0)}
    assert found.confusions(5) == []


def test_references_are_those_of_constant_and_random_answers(answers: tuple[np.ndarray, np.ndarray]) -> None:
    _, true = answers
    names, generator = CLASSES[:4], np.random.default_rng(1)
    references = ByClass.of_indices(true, true, names).references
    constant = ByClass.of_indices(np.zeros_like(true), true, names).overall
    many = np.tile(true, 500)
    random = ByClass.of_indices(generator.integers(0, 4, len(many)), many, names).overall
    for name, beside in references.items():
        assert beside.baseline == pytest.approx(constant[name]), name
        assert beside.chance == pytest.approx(random[name], abs=2e-3), name


def test_several_classes_a_row(marks: tuple[np.ndarray, np.ndarray]) -> None:
    scores, true = marks
    found = ByClass.of_marks(scores, true, CLASSES)
    tensors = torch.from_numpy(scores), torch.from_numpy(true).long()
    each = {"num_labels": 5, "average": "none"}
    for name, function in (
        ("precision", reference.multilabel_precision),
        ("recall", reference.multilabel_recall),
        ("F1", reference.multilabel_f1_score),
        ("AP", reference.multilabel_average_precision),
    ):
        assert found.metrics[name].values[:4] == pytest.approx(function(*tensors, **each).numpy()[:4]), name
    assert np.isnan(average_precisions(*tensors).numpy()).tolist() == [False] * 4 + [True]
    constant = ByClass.of_marks(np.ones_like(scores), true, CLASSES).overall["f1_macro"]
    assert ByClass.of_marks(scores, true, CLASSES[:5]).references["f1_macro"].baseline == pytest.approx(
        constant * 5 / 4  # the class that never occurs is predicted, and has 0
    )
    with pytest.raises(ValueError, match="no confusion matrix"):
        found.matrix()
    assert found.confusions(3) == []


def test_curves_come_best_first_after_their_micro_average(marks: tuple[np.ndarray, np.ndarray]) -> None:
    scores, true = marks
    curves = ByClass.of_marks(scores, true, CLASSES).curves
    assert curves[0].name == "micro-average"
    assert curves[0].average_precision == pytest.approx(
        reference.multilabel_average_precision(
            torch.from_numpy(scores), torch.from_numpy(true).long(), num_labels=5, average="micro"
        ).item()
    )
    values = [curve.average_precision for curve in curves[1:]]
    assert values == sorted(values, reverse=True)
    assert {curve.name for curve in curves[1:]} == set(CLASSES[:4])
    for curve in curves:
        area = -np.trapezoid(curve.precision, curve.recall)
        assert area == pytest.approx(curve.average_precision, abs=0.03)


def test_of_many_classes_the_best_and_the_worst_have_curves() -> None:
    generator = np.random.default_rng(0)
    true = generator.random((200, 40)) < 0.3
    quality = np.linspace(0, 1, 40)
    scores = (true * quality + generator.random((200, 40))) / 2
    curves = ByClass.of_marks(scores.astype(np.float32), true, [str(n) for n in range(40)]).curves
    assert len(curves) == 11
    numbers = [int(curve.name) for curve in curves[1:]]
    assert min(numbers[:5]) > 25
    assert max(numbers[5:]) < 15


def test_two_classes_have_the_curve_of_the_first() -> None:
    true, probability = np.array([0, 0, 1, 1]), np.array([0.9, 0.4, 0.6, 0.1], np.float32)
    found = ByClass.of_indices((probability < 0.5).astype(int), true, ("yes", "no"), probability)
    (curve,) = found.curves
    assert curve.name == "yes"
    assert curve.prevalence == 0.5
    assert curve.average_precision == pytest.approx((1 + 2 / 3) / 2)
