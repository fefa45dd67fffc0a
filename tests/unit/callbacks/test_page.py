from types import SimpleNamespace
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from onepeace_pl.callbacks.curves import draw_curves
from onepeace_pl.callbacks.history import Curve, History
from onepeace_pl.callbacks.page import groups_table, overview, retrieval_section, training_table
from onepeace_pl.callbacks.run_info import data_line
from onepeace_pl.metrics import LabelledResult, RetrievalMetric, RetrievalResult
from onepeace_pl.metrics.composed import compare_vectors


def result(name: str, **groups: dict[str, float]) -> LabelledResult:
    return LabelledResult(name, {}, 4, groups=groups, counts=dict.fromkeys(groups, 2))


def test_groups_of_sets_with_other_metrics_keep_their_columns() -> None:
    found = groups_table(
        [result("boxes/val", near={"accuracy": 0.5, "iou": 0.25}), result("sounds/val", loud={"mAP": 0.75})]
    )
    lines = found.splitlines()
    assert lines[0] == "|  | rows | accuracy | iou | mAP |"
    assert lines[2] == "| boxes/val: near | 2 | 0.500 | 0.250 |  |"
    assert lines[3] == "| sounds/val: loud | 2 |  |  | 0.750 |"
    assert groups_table([result("boxes/val")]) == ""


def test_small_training_values_keep_their_digits() -> None:
    history = History()
    for step, (loss, lr) in enumerate([(24.5, 3e-4), (13.9, 1e-5)], 1):
        history.add_losses({"loss": torch.tensor(loss), "lr": torch.tensor(lr)})
        history.point(step)
    lines = training_table(history).splitlines()
    assert lines[2] == "| loss | 24.500 | 13.900 | -10.600 |"
    assert lines[3] == "| lr | 0.0003 | 1e-05 | -0.00029 |"


def test_duplicates_of_a_gallery_are_reported() -> None:
    result = RetrievalResult("pairs", {}, duplicates={"image": 0, "text": 46})
    assert "Duplicates of an earlier item: 46 of text. They are merged with it." in retrieval_section(result)
    apart = RetrievalResult("pairs", {}, duplicates={"text": 46}, merged=False)
    assert "They are ranked separately." in retrieval_section(apart)
    assert "Duplicates" not in retrieval_section(RetrievalResult("pairs", {}, duplicates={"text": 0}))


def composed() -> RetrievalResult:
    """Half of the queries find their image by the joint pass, all by the sum."""

    def retrieve(query: Tensor, optimum: float) -> RetrievalResult:
        optima = {"audio+text->image": {1: optimum}}
        metric = RetrievalMetric(
            ["audio", "text"], ["image"], name="hard", both_directions=False, ks=(1,), optimum=optima
        )
        metric.update(query, torch.eye(4), list("abcd"), torch.arange(4))
        return metric.compute()

    right, half, none = torch.eye(4), torch.eye(4)[[0, 1, 3, 2]], torch.zeros(4, 4)
    queries = {"audio_alone": none, "text_alone": none, "sum": right, "joint": half}
    return compare_vectors(
        {name: retrieve(query, 0.5 if name.endswith("alone") else 1.0) for name, query in queries.items()}
    )


def test_composed_queries_show_the_joint_pass_beside_sum_and_parts() -> None:
    lines = retrieval_section(composed()).splitlines()
    assert lines[2:13] == [
        "| audio+text → image: 4 queries, 4 candidates | R@1 | median rank | nDCG@10 |",
        "| --- | ---: | ---: | ---: |",
        "| audio alone | 0.000 [0.000, 0.000] | 4 | 0.431 |",
        "| text alone | 0.000 [0.000, 0.000] | 4 | 0.431 |",
        "| sum | 1.000 [1.000, 1.000] | 1 | 1.000 |",
        "| joint pass | 0.500 [0.000, 1.000] | 2.5 | 0.715 |",
        "| joint pass - sum | -0.500 [-1.000, +0.000] |  |  |",
        "| chance | 0.250 |  |  |",
        "| optimum of audio alone | 0.500 |  |  |",
        "| optimum of text alone | 0.500 |  |  |",
        "| optimum | 1.000 |  |  |",
    ]
    assert "95 % bootstrap intervals over queries" in "\n".join(lines)
    rows = overview([composed()]).splitlines()[2:]
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| hard: audio+text → image (audio alone)", "**0.000**"],
        ["| hard: audio+text → image (text alone)", "**0.000**"],
        ["| hard: audio+text → image (sum)", "**1.000**"],
        ["| hard: audio+text → image (joint pass, the default)", "**0.500**"],
    ]


def test_what_is_no_loss_is_not_drawn_behind_the_name_of_a_task_either(
    monkeypatch: Any, tmp_path: Any
) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, path: drawn.extend(self.axes[0].get_legend_handles_labels()[1])
    )
    history = History()
    names = (
        "loss",
        "boxes/loss",
        "boxes/iou",
        "boxes/accuracy",
        "accuracy_top5",
        "scale",
        "align/text->image",
    )
    history.losses = {name: Curve() for name in names}
    draw_curves(history, tmp_path / "curves.png")
    assert drawn == ["loss", "align/text->image", "boxes/loss"]


def test_the_data_of_every_task_are_named() -> None:
    one, two = SimpleNamespace(batch_size=4, train=None), SimpleNamespace(batch_size=8, train=None)
    assert data_line(SimpleNamespace(tasks={"one": one, "two": two})) == (
        "one: SimpleNamespace, batches of 4 in each process; two: SimpleNamespace, batches of 8 in each process"
    )
    assert data_line(two) == "SimpleNamespace, batches of 8 in each process"
    assert data_line(None) == "loaders passed to the Trainer"
