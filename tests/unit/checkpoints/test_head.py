"""Heads beside a model's weights: written, read back, refused where they do not fit."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from onepeace_pl.checkpoints.folder import EXTRA
from onepeace_pl.checkpoints.head import HEAD, TASK, load_head, read_head, save_head
from onepeace_pl.checkpoints.heads import head_to_official
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.tasks.classification import Classification
from onepeace_pl.tasks.question_answering import OpenAnswer
from onepeace_pl.tasks.video import VideoClassification
from onepeace_pl.training.multitask import MultiTask

from ..samples import make

THREE = DataInfo(classes=("a", "b", "c"))
TURNED = DataInfo(classes=("a", "c", "b"))
OTHER = DataInfo(classes=("a", "b", "d"))


def task(classes: DataInfo = THREE) -> Classification:
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
        load_head(task(DataInfo(classes=("a", "b"))), tmp_path)
    other = OpenAnswer(make(("text", "image"), decoder=False), THREE)
    assert "another task" in load_head(other, tmp_path)
    assert read_head(tmp_path).state.keys() == task().state_dict().keys()


HEADS = {
    "classification": (("image",), Classification),
    "mean": (("image",), partial(Classification, pooling="mean")),
    "answers": (("text", "image"), OpenAnswer),
    "video": (("image",), partial(VideoClassification, frames=2)),
}


@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize("name", HEADS)
def test_classes_are_compared_by_name_and_order(name: str, measured: bool, tmp_path: Path) -> None:
    modalities, kind = HEADS[name]
    backbone = make(modalities, decoder=False)
    state = kind(backbone, THREE).state_dict()
    if measured:
        save_head(tmp_path, state, {"data_info": THREE.to_config()})
        source = tmp_path
    else:  # a checkpoint
        whole = {f"task.{n}": t for n, t in state.items()}
        whole |= {f"backbone.{n}": t for n, t in backbone.state_dict().items()}
        source = tmp_path / "last.ckpt"
        torch.save({"state_dict": whole, "hyper_parameters": {"data_info": asdict(THREE)}}, source)
    assert load_head(kind(backbone, THREE), source, data_info=THREE) == f"head: from {source}"
    with pytest.raises(
        ValueError, match=r"number 1 is 'b' there and 'c' here .*same ones in another order.*new_head"
    ):
        load_head(kind(backbone, TURNED), source, data_info=TURNED)
    with pytest.raises(ValueError, match=r"number 2 is 'c' there and 'd' here \(3 each\)"):
        load_head(kind(backbone, OTHER), source, data_info=OTHER)
    assert "head: new" in load_head(kind(backbone, TURNED), source, lambda name: False, TURNED)


def test_classes_of_each_of_several_tasks(tmp_path: Path) -> None:
    def data_info(**tasks: DataInfo) -> DataInfo:
        return DataInfo(tasks=tasks)

    def several(all_info: DataInfo) -> MultiTask:
        kinds = {"one": Classification, "two": Classification}
        return MultiTask(make(("image",), decoder=False), all_info, kinds)

    learnt, now = data_info(one=THREE, two=THREE), data_info(one=THREE, two=TURNED)
    save_head(tmp_path, several(learnt).state_dict(), {"data_info": learnt.to_config()})
    assert load_head(several(learnt), tmp_path, data_info=learnt) == f"head: from {tmp_path}"
    with pytest.raises(ValueError, match=r"task 'two': the head of .* number 1 is 'b' there and 'c' here"):
        load_head(several(now), tmp_path, data_info=now)


def test_a_source_without_names_of_classes_is_told(tmp_path: Path) -> None:
    save_head(tmp_path, task().state_dict(), {"class_path": "x"})
    assert "which names no classes" in load_head(task(), tmp_path, data_info=THREE)


def test_a_damaged_description_is_one_line(tmp_path: Path) -> None:
    save_head(tmp_path, task().state_dict(), {"class_path": "x"})
    (tmp_path / TASK).write_text("{")
    with pytest.raises(ValueError, match=r"task\.json is no valid JSON"):
        load_head(task(), tmp_path, data_info=THREE)
