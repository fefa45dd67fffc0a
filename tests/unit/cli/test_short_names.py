"""Our classes by their names alone."""

import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from onepeace_pl.cli.shipped import shipped
from onepeace_pl.cli.short_names import in_full, modules_by_class


def named_in_configs():
    text = "".join(path.read_text(encoding="utf-8") for path in shipped().rglob("*.yaml"))
    return sorted(set(re.findall(r"class_path: (onepeace_pl\.[\w.]+)", text)))


@pytest.mark.parametrize("path", named_in_configs())
def test_every_class_of_a_shipped_config(path):
    module, _, name = path.rpartition(".")
    found = in_full({"class_path": name})["class_path"].rpartition(".")
    assert getattr(import_module(found[0]), name) is getattr(import_module(module), name)


def test_others_names_are_left_to_the_parser():
    value = {"class_path": "EarlyStopping", "init_args": {"classes": ["ClassFolder"], "name": "x"}}
    assert in_full(value) == value
    assert "EarlyStopping" not in modules_by_class()


def test_in_files_and_flags(resolve, classify):
    source = {"class_path": "ClassFolder", "init_args": {"path": "."}}
    data = {"class_path": "SourceDataModule", "init_args": {"processors": {}, "train": source}}
    Path("data.yaml").write_text(yaml.safe_dump(data))
    for words in (["--data", "data.yaml"], ["--data", str(data)]):
        found = resolve("-c", classify, *words, "--trainer.callbacks+=Throughput")
        train = found["data"]["init_args"]["train"]
        assert train["class_path"].startswith("onepeace_pl.data.datasets")
        assert train["class_path"].endswith(".ClassFolder")
        assert found["trainer"]["callbacks"][0]["class_path"].endswith(".Throughput")
