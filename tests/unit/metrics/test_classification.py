"""Which class a row is taken for."""

import torch

from onepeace_pl.metrics.classification import accuracies, top_predictions

SCORES = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]])


def test_accuracies() -> None:
    found = accuracies(SCORES, torch.tensor([1, 2]), top=2)
    assert {name: values.tolist() for name, values in found.items()} == {
        "accuracy": [1.0, 0.0],
        "accuracy_top2": [1.0, 1.0],
    }
    for top in (1, 3):  # the same as the best, and certain
        assert list(accuracies(SCORES, torch.tensor([1, 2]), top)) == ["accuracy"]


def test_likeliest() -> None:
    first, second = top_predictions(SCORES, ("a", "b", "c"), top=2)
    assert first == {"class": "b", "probabilities": {"b": 0.6, "c": 0.3}}
    assert list(second["probabilities"]) == ["a", "c"]
    assert len(top_predictions(SCORES, ("a", "b", "c"))[0]["probabilities"]) == 3
