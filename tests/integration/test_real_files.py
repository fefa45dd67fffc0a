"""Both stages on real pictures, sounds and captions in the official tables: the losses fall."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from onepeace_pl import OnePeace
from onepeace_pl.cli import main

CONFIGS = Path(__file__).parents[2] / "configs"


def run(name: str, config: dict, *words: str) -> list[dict[str, str]]:
    Path(f"{name}.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", "--config", f"{name}.yaml", *words]) == 0
    with open(f"runs/{name}/metrics.csv") as file:
        return [row for row in csv.DictReader(file) if row.get("train/loss")]


def experiment(task: str, steps: int, data: dict, **model: object) -> dict:
    return {
        "seed_everything": 0,
        "trainer": {
            "accelerator": "cpu",
            "devices": 1,
            "max_steps": steps,
            "log_every_n_steps": 1,
            "enable_progress_bar": False,
            "use_distributed_sampler": False,
        },
        "model": {
            "backbone": str(CONFIGS / "parts/backbone/debug.yaml"),
            "task": str(CONFIGS / f"parts/task/{task}.yaml"),
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 2e-3}},
            **model,
        },
        "data": {
            "class_path": "onepeace_pl.data.datamodule.PairsDataModule",
            "init_args": {"batch_size": 16, **data},
        },
    }


def part(name: str, **options: object) -> dict:
    return {"class_path": f"onepeace_pl.{name}", "init_args": options}


def falls(rows: list[dict[str, str]], name: str) -> bool:
    values = [float(row[name]) for row in rows if row.get(name)]
    some = min(8, len(values) // 3)
    return sum(values[-some:]) < sum(values[:some])


@pytest.mark.parametrize("steps", [12, pytest.param(40, marks=pytest.mark.slow)])
def test_both_stages(steps: int, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    coco = shared / "data/coco128"
    table = part("data.sources.ImageTextTsv", path=str(coco / "tsv/coco64_train.tsv"), root=str(coco))
    valid = part("data.sources.ImageTextTsv", path=str(coco / "tsv/coco64_val.tsv"), root=str(coco))
    processors = {
        "text": part("modalities.TextProcessor"),
        "image": part("modalities.ImageProcessor", size=64),
    }
    data = {"processors": processors, "train": table, "validation": {"coco": valid}}
    rows = run("see", experiment("vision_language", steps, data))
    for name in ("train/loss", "train/denoise/image", "train/denoise/text", "train/denoise/both.image"):
        assert falls(rows, name), name
    assert (tmp_path / "runs/see/report.md").is_file()

    for name, folder, file in (("hear", "esc10", "esc10_zeroshot"), ("tell", "clotho", "clotho_demo")):
        root = shared / "data" / folder
        sounds = part("data.sources.AudioTextTsv", path=str(root / f"tsv/{file}.tsv"), root=str(root))
        processors = {
            "text": part("modalities.TextProcessor", tokenizer="runs/see/model"),
            "audio": part("modalities.AudioProcessor", max_seconds=1.0),
        }
        data = {"processors": processors, "train": sounds, "batch_size": 8 if name == "tell" else 16}
        count = min(steps, 24) if name == "tell" else steps
        config = experiment("audio_language", count, data, init_from="runs/see/model", reset_logit_scale=True)
        audio = [
            "--model.backbone.adapters.audio",
            str(CONFIGS / "parts/modality/audio_small.yaml"),
            "--model.backbone.stage={extend: audio}",
        ]
        rows = run(name, config, *audio)
        for loss in ("train/loss", "train/denoise/audio", "train/denoise/both.audio"):
            assert falls(rows, loss), (name, loss)
        assert main(["compare", "runs/see/model", f"runs/{name}/model", "--expect-equal", "text,image"]) == 0
    # pictures are no part of stage 2's data, but of what it leaves
    assert "image" in OnePeace.from_pretrained("runs/hear/model").processors
