"""docs/guide/multi_task.md: its commands in their order, and its file, on less work and from nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from onepeace_pl.cli import main
from tests.configs.pages import ROOT, blocks, commands

PAGE = "docs/guide/multi_task.md"
LESS = "{size: 8, evaluation_size: 4, batch_size: 4, num_workers: 0}"


def less(*tasks: str) -> str:
    return f"""
trainer: {{max_steps: 2, val_check_interval: 2, enable_progress_bar: false}}
model: {{init_from: null, backbone: {{transformer: {{preset: debug}}}}}}
data: {{tasks: {{{", ".join(f"{task}: {LESS}" for task in tasks)}}}}}
"""


@pytest.fixture(autouse=True)
def _checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    for part in (ROOT / "configs").iterdir():
        Path("configs", part.name).symlink_to(part)


@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_the_commands_run() -> None:
    Path("less.yaml").write_text(less("grounding", "questions", "classes"))
    said = commands(PAGE)
    assert [words[0] for words in said] == ["fit", "test", "predict"]
    for words in said:
        more = ["--config", "less.yaml"] if words[0] == "fit" else []
        assert main([*words, *more]) == 0, words
    report = Path("runs/several/report.md").read_text()
    assert "| questions/triworld: accuracy, 4 rows |" in report
    assert "| val/mean_of_tasks |" in report
    assert "classes: TriWorldTaskDataModule, ClassScenes of 8 rows with image, batches of 4" in report
    assert json.loads(Path("runs/several/results.json").read_text())["monitor"]["name"] == "val/mean_of_tasks"
    stored = json.loads(Path("runs/several/model/task.json").read_text())
    assert (
        list(stored["init_args"]["tasks"])
        == list(stored["data_info"]["tasks"])
        == ["grounding", "questions", "classes"]
    )
    written = {path.name for path in Path("runs/several/predictions").iterdir()}
    assert written == {f"{task}-triworld.jsonl" for task in stored["data_info"]["tasks"]}
    Image.new("RGB", (64, 64)).save("new.png")
    new = ["predict", "runs/several", "new.png", "--device", "cpu"]
    assert main([*new, "--task", "classes", "--to", "new.jsonl"]) == 0
    assert (
        json.loads(Path("new.jsonl").read_text())["class"]
        in stored["data_info"]["tasks"]["classes"]["classes"]
    )
    assert main(new) == 2


def test_the_file_and_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    (said,) = blocks(PAGE, "yaml")
    folder = Path("mine", "triworld")
    folder.mkdir(parents=True)
    for part in (ROOT / "configs").iterdir():
        if part.name != "triworld":
            Path("mine", part.name).symlink_to(part)
    Path(folder, "base.yaml").symlink_to(ROOT / "configs/triworld/base.yaml")
    Path(folder, "mine.yaml").write_text(said)
    flags = ["--data.tasks.audio.batch_size", "16", "--model.task.weights.audio", "0"]
    assert main(["configs", "show", "mine/triworld/mine.yaml", *flags]) == 0
    shown = capsys.readouterr().out
    assert "batch_size: 16" in shown
    assert "audio: 0.0" in shown
    Path("less.yaml").write_text(less("grounding", "audio"))
    words = ["fit", "--config", "mine/triworld/mine.yaml", "--config", "less.yaml", *flags]
    assert main([*words, "--trainer.fast_dev_run", "true"]) == 0
