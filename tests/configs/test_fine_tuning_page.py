"""docs/guide/fine_tuning.md: its commands run, in their order, and its table counts."""

import re
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from onepeace_pl.backbone import LoRAStage, Stage, VisionLanguage, from_preset
from onepeace_pl.checkpoints.folder import read_config
from onepeace_pl.cli import main
from onepeace_pl.nn.lora import LoRA
from tests.configs.pages import ROOT, SHORT, blocks, commands

PAGE = "docs/guide/fine_tuning.md"
ROW = re.compile(r"^\| `(?P<stage>[^`]+)` \|[^|]+\| (?P<base>[\d,]+) \| (?P<large>[\d,]+) \|$", re.M)


@pytest.mark.parametrize("preset", ["base", "4b"])
def test_the_table(preset: str) -> None:
    rows = list(ROW.finditer((ROOT / PAGE).read_text(encoding="utf-8")))
    assert len(rows) == 6
    with torch.device("meta"):
        backbone = from_preset(preset, ["text", "image"], decoder=False)
        for row in rows:
            stage = Stage.from_config(yaml.safe_load(row["stage"]))
            backbone.stage = VisionLanguage()
            if isinstance(stage, LoRAStage):
                backbone.adapt(stage)
            backbone.stage = stage
            backbone.apply_stage(["text", "image"])
            count = sum(p.numel() for p in backbone.parameters() if p.requires_grad)
            assert f"{count:,}" == row["large" if preset == "4b" else "base"], row["stage"]
            for module in backbone.modules():
                if isinstance(module, LoRA):
                    module.merge()


def class_folders(root: Path) -> None:
    for number, kind in enumerate(("bell", "clock", "drum")):
        (root / kind).mkdir(parents=True)
        for grey in range(4):
            Image.new("L", (60, 50), 60 * number + grey).save(root / kind / f"{grey}.png")


@pytest.mark.filterwarnings("ignore")
def test_every_command_and_the_example(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    start = ["fit", "--config", "configs/quickstart_alignment.yaml", "--run", "quickstart"]
    assert main([*start, *SHORT]) == 0
    listed = commands(PAGE)
    started = ["finetune", "triworld", "finetune", "finetune", "finetune"]
    assert [words[0] for words in listed] == [*started, "info", "fit", "convert", "convert", "convert"]
    class_folders(tmp_path / "toys")
    few = ["--max-steps", "1", "--num-workers", "0", "--trainer.enable_progress_bar", "false"]
    more = {"fit": SHORT, "finetune": few, "triworld": ["--scenes", "10", "--eval-scenes", "4"]}
    for words in listed:
        assert main([*words, *more.get(words[0], [])]) == 0, words
        if words[0] == "info":
            assert "2,506,753" in capsys.readouterr().out
    assert "base" in read_config(tmp_path / "runs/tuned/model")
    for name in ("tuned", "merged", "last"):
        assert "base" not in read_config(tmp_path / "models" / name)
    assert main(["compare", "runs/tuned/model", "models/last", "--expect-equal", "text,image"]) == 0
    (example,) = blocks(PAGE, "python")
    exec(example, found := {})
    assert found["vectors"].shape == (1, 128)
    run, weights, callback, average = (yaml.safe_load(text) for text in blocks(PAGE, "yaml"))
    assert run["model"]["backbone"]["stage"] == {"lora": 8}
    assert weights["model"]["task"]["init_args"]["class_weight"] == "balanced"
    (tmp_path / "whole.yaml").write_text(yaml.safe_dump(callback))
    (tmp_path / "average.yaml").write_text(yaml.safe_dump(average))
    callbacks = ["--config", "whole.yaml", "--config", "average.yaml", "--run", "whole"]
    assert main([*listed[6], *SHORT, *callbacks]) == 0
    stored = torch.load(tmp_path / "runs/whole/checkpoints/last.ckpt", weights_only=False)
    assert "current_model_state" in stored
    assert "base" not in read_config(tmp_path / "runs/whole/model")
