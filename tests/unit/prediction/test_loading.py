"""Folders that are no run, that have no head, or that name classes which are not trusted."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from onepeace_pl import Predictor
from onepeace_pl.errors import UserError
from onepeace_pl.tasks.classification import Classification
from tests.unit.hub.conftest import make_model

from .runs import make_run, write_images


def change(run: Path, **entries: object) -> None:
    """Change the task's config; None removes an entry."""
    path = run / "model/task.json"
    config = {**json.loads(path.read_text()), **entries}
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere' is no folder: give the folder of a finished run"):
        Predictor.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no run: give the folder of a finished run \(runs/NAME\)"):
        Predictor.from_pretrained(tmp_path)


def test_no_head(tmp_path: Path) -> None:
    make_model().save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match=r"no task head: .* OnePeace.from_pretrained\(...\).encode"):
        Predictor.from_pretrained(tmp_path, "cpu")


def test_a_run_made_in_python_needs_its_task(tmp_path: Path) -> None:
    options = {"pooling": "mean"}
    make_run(tmp_path, Classification, options)
    (image,) = write_images(tmp_path, 1)
    expected = Predictor.from_pretrained(tmp_path, "cpu")(image)
    change(tmp_path, init_args=None)
    with pytest.raises(UserError, match=r"has no options of .*Classification, .* make_task=partial"):
        Predictor.from_pretrained(tmp_path, "cpu")
    made = partial(Classification, **options)
    assert Predictor.from_pretrained(tmp_path, "cpu", make_task=made)(image) == expected


def test_a_head_of_other_options(tmp_path: Path) -> None:
    make_run(tmp_path, Classification)
    change(tmp_path, init_args={"pooling": "mean"})
    with pytest.raises(UserError, match=r"describes another task than that of the head"):
        Predictor.from_pretrained(tmp_path, "cpu")
    change(tmp_path, init_args={"colour": "red"})
    with pytest.raises(UserError, match=r"task.json: .*colour"):
        Predictor.from_pretrained(tmp_path, "cpu")
    change(tmp_path, class_path=None)
    with pytest.raises(UserError, match=r"task.json is missing or incomplete"):
        Predictor.from_pretrained(tmp_path, "cpu")


@pytest.mark.parametrize("path", ["os.system", "a_task_of_mine.Probe"])
def test_foreign_classes_are_not_imported(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, Classification)
    Path(tmp_path, "a_task_of_mine.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    change(tmp_path, class_path=path)
    with pytest.raises(UserError, match=r"task.json"):
        Predictor.from_pretrained(tmp_path, "cpu")


def test_one_task_has_no_name(tmp_path: Path) -> None:
    make_run(tmp_path, Classification)
    with pytest.raises(UserError, match=r"one task, Classification; leave task='other' out"):
        Predictor.from_pretrained(tmp_path, "cpu", task="other")
