"""Configs of old names: ``configs check`` and ``fit`` name the new ones."""

from pathlib import Path

import pytest

from onepeace_pl.cli import main

OLD = [
    (
        "model: {task: {class_path: onepeace_pl.multitask.MultiTask}}",
        "model.task: 'onepeace_pl.multitask.MultiTask' is called 'onepeace_pl.training.multitask.MultiTask' now",
    ),
    (
        "data: {class_path: onepeace_pl.data.TriWorldData}",
        "'onepeace_pl.data.TriWorldData' is called 'onepeace_pl.triworld.datamodule.TriWorldDataModule' now",
    ),
    (
        "trainer: {strategy: {class_path: onepeace_pl.strategies.FSDP1Strategy}}",
        "'onepeace_pl.strategies.FSDP1Strategy' is called 'onepeace_pl.training.strategies.FSDP1Strategy' now",
    ),
    ("data: {picture_size: 48}", "has no option 'picture_size'; it is called 'image_size' now"),
    ("model: {backbone: {init_args: {stage: {low_rank: 8}}}}", "it is called 'lora' now"),
    (
        "model: {backbone: {init_args: {transformer: {checkpoint: true}}}}",
        "it is called 'transformer.activation_checkpointing' now",
    ),
    ("data: {pair: [text, image]}", "has no option 'pair'; it is called 'modalities' now"),
]


@pytest.mark.parametrize(("old", "line"), OLD)
def test_the_new_name_is_said(old, line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("old.yaml").write_text(f"config: quickstart\n{old}\n")
    for words in (["configs", "check", "old.yaml"], ["fit", "--config", "old.yaml"]):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: old.yaml: ")
        assert line in error
        assert error.count("\n") == 1
