"""docs/guide/add_a_task.md: a task outside the package trains and predicts from YAML alone."""

import json
from pathlib import Path

from onepeace_pl.cli import main
from tests.configs.pages import ROOT, blocks, commands

PAGE = "docs/guide/add_a_task.md"
SMALL = [
    *(
        "--model.init_from",
        "null",
        "--data.size",
        "32",
        "--data.evaluation_size",
        "16",
        "--data.num_workers",
        "0",
    ),
    *(
        "--model.backbone.transformer.preset",
        "debug",
        "--data.batch_size",
        "8",
        "--trainer.enable_progress_bar",
        "false",
    ),
]


def test_page(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "my_tasks.py").write_text(blocks(PAGE, "python")[0])
    (tmp_path / "probe.yaml").write_text(blocks(PAGE, "yaml")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    fit, predict = commands(PAGE)
    assert main([*fit, *SMALL, "--trainer.max_steps", "3", "--trainer.val_check_interval", "3"]) == 0
    report = (tmp_path / "runs/probe/report.md").read_text()
    assert "triworld: accuracy, 16 rows" in report
    assert main([*predict, *SMALL]) == 0
    lines = (tmp_path / "runs/probe/predictions/triworld.jsonl").read_text().splitlines()
    assert len(lines) == 16
    assert {"id", "class"} == json.loads(lines[0]).keys()
