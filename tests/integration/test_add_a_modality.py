"""docs/guide/add_a_modality.md, followed word by word in an empty folder, on little data."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from onepeace_pl import OnePeace
from onepeace_pl.cli import main
from tests.configs.pages import ROOT, blocks, commands

PAGE = "docs/guide/add_a_modality.md"
LENGTH = ["--trainer.max_steps", "2", "--trainer.val_check_interval", "2", "--data.batch_size", "4"]
DEBUG = ["--model.backbone.transformer.preset", "debug", "--data.num_workers", "0", *LENGTH]
LITTLE = {  # by what a command names: enough for two steps, the rest is what the page says
    "configs/quickstart.yaml": [*DEBUG, "--data.size", "8", "--data.gallery_size", "8"],
    "motion.yaml": [*DEBUG, "--data.train.size", "8", "--data.validation.motion_text.size", "8"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    adapter, _ = blocks(PAGE, "python")
    (config,) = blocks(PAGE, "yaml")
    for name, text in (("my_sensor.py", adapter), ("motion.yaml", config)):
        assert text.startswith(f"# {name}")
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("my_sensor", None)  # other tests say what happens where there is none


def test_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = commands(PAGE)
    assert [words[0] for words in listed] == ["fit", "fit", "compare", "evaluate"]
    for words in listed:
        assert main([*words, *(LITTLE[words[-1]] if words[0] == "fit" else [])]) == 0, words
    printed = capsys.readouterr().out
    assert printed.count("bitwise equal") >= 2
    (line,) = [line for line in printed.splitlines() if line.startswith("motion->text")]
    assert line.split()[-2] == "256"  # what motion.yaml says

    before, after = (OnePeace.from_pretrained(f"runs/{run}/model") for run in ("quickstart", "motion"))
    assert after.modalities == ["text", "image", "motion"]
    inputs = {"text": ["a small dog", "snow"], "image": [torch.zeros(3, 64, 64)]}
    for name, items in inputs.items():
        assert torch.equal(before.encode(**{name: items}), after.encode(**{name: items}))
    new, old = after.backbone.state_dict(), before.backbone.state_dict()
    changed = {n for n in new if n not in old or not torch.equal(new[n], old[n])}
    assert changed
    assert all("motion" in n or n == "logit_scale" for n in changed)
    assert "motion_text" in (folder / "runs/motion/report.md").read_text()

    _, usage = blocks(PAGE, "python")
    exec(compile(usage, "docs/guide/add_a_modality.md", "exec"), {})
    assert "tensor" in capsys.readouterr().out
