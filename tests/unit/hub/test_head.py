"""Heads beside a model's weights: written, read back, refused where they do not fit."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from onepeace_pl.data.facts import DataFacts
from onepeace_pl.heads.official import head_to_official
from onepeace_pl.hub.folder import EXTRA
from onepeace_pl.hub.head import HEAD, TASK, load_head, read_head, save_head
from onepeace_pl.tasks.classification import Classification
from onepeace_pl.tasks.question_answering import OpenAnswer

from ..samples import make

THREE = DataFacts(classes=("a", "b", "c"))


def task(classes: DataFacts = THREE) -> Classification:
    return Classification(make(("image",), decoder=False), classes)


def test_round_trip(tmp_path: Path) -> None:
    first, second = task(), task()
    torch.nn.init.normal_(first.head.classifier[3].weight)
    save_head(tmp_path, first.state_dict(), {"class_path": "x"})
    assert load_head(second, tmp_path) == f"head: from {tmp_path}"
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    save_head(tmp_path, {}, {})
    assert not (tmp_path / HEAD).exists()
    assert not (tmp_path / TASK).exists()
    assert load_head(second, tmp_path).startswith("head: new;")


def test_official_heads(tmp_path: Path) -> None:
    """Of a converted folder, and of a file."""
    first = task()
    torch.nn.init.normal_(first.head.pooling.query)
    official = {n: t.contiguous() for n, t in head_to_official(first.head.state_dict()).items()}
    save_file(official, tmp_path / EXTRA)
    torch.save({"model": official}, tmp_path / "finetuned.pt")
    for source in (tmp_path, tmp_path / "finetuned.pt"):
        second = task()
        assert load_head(second, source).startswith("head: from")
        assert torch.equal(second.head.pooling.query, first.head.pooling.query)


def test_other_numbers_of_classes_are_refused_and_other_tasks_left(tmp_path: Path) -> None:
    save_head(tmp_path, task().state_dict(), {})
    with pytest.raises(ValueError, match=r"of shape \(3,\), this task wants \(2,\).*model.new_head"):
        load_head(task(DataFacts(classes=("a", "b"))), tmp_path)
    other = OpenAnswer(make(("text", "image"), decoder=False), THREE)
    assert "another task" in load_head(other, tmp_path)
    assert read_head(tmp_path).keys() == task().state_dict().keys()
