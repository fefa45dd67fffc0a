"""Old names of keys and classes are answered with the new ones."""

from importlib import import_module

import pytest

from onepeace_pl.cli import renamed
from onepeace_pl.cli.renamed import CLASSES, KEYS, moved_class, renamed_key


@pytest.mark.parametrize(
    "path",
    [
        "onepeace_pl.experiment.Experiment",
        "onepeace_pl.data.transforms.JointTransform",
        "onepeace_pl.modalities.processors.ImageProcessor",
        "onepeace_pl.multitask.MultiTask",
        "onepeace_pl.strategies.FullyShardedStrategy",
    ],
)
def test_a_class_that_has_moved(path):
    module, _, name = (moved_class(path) or "").rpartition(".")
    assert name == path.rpartition(".")[2]
    assert hasattr(import_module(module), name)


def test_a_class_with_another_name(monkeypatch):
    monkeypatch.setitem(renamed.CLASSES, "OldFolder", "ClassFolder")
    for path in ("OldFolder", "onepeace_pl.data.OldFolder"):
        assert (moved_class(path) or "").endswith(".ClassFolder")


@pytest.mark.parametrize("path", ["onepeace_pl.data.Nothing", "other.Experiment", "Experiment", ""])
def test_classes_that_have_not(path):
    assert moved_class(path) is None


def test_keys():
    assert renamed_key("task.until", ["task.stop_after"]) == "task.stop_after"
    assert renamed_key("model.facts.classes", ["model.data_info"]) == "model.data_info.classes"
    assert renamed_key("until", ["other"]) is None  # of a class that never had it
    assert renamed_key("anything", ["anything_else"]) is None


def test_no_new_name_is_an_old_one():
    assert not {new for _, new in KEYS} & {old for old, _ in KEYS}
    assert not set(CLASSES) & set(CLASSES.values())
