"""The paper's recipes run a real step of each stage, on small files where they look for data.

They are one block deep, and at the width of 4b in the slow tests alone: ``uv run pytest -m slow``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from onepeace_pl.cli import main
from onepeace_pl.modalities.text.tokenizer import Tokenizer
from onepeace_pl.triworld import TriWorldSource
from tests.configs.benchmark_files import write_all

CONFIGS = Path(__file__).parents[2] / "configs"
ONE_STEP = [
    *("--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.max_steps", "1"),
    *(
        "--trainer.precision",
        "32-true",
        "--trainer.limit_val_batches",
        "0",
        "--trainer.enable_progress_bar",
        "false",
    ),
    *("--trainer.enable_checkpointing", "false"),
    *("--data.batch_size", "2", "--data.num_workers", "0", "--model.backbone.transformer.depth", "1"),
]
ENCODER = [f"--model.backbone.transformer.{size}" for size in ("width=96", "heads=4", "feed_forward=128")]
DECODER = [f"--model.backbone.decoder.{size}" for size in ("width=48", "heads=4", "feed_forward=64")]


def write_data(rows: int = 4) -> None:
    seen = TriWorldSource(size=rows, modalities=("image", "text"))
    heard = TriWorldSource(size=rows, modalities=("audio", "text"), caption="audio")
    for name in ("coco", "clotho"):
        Path("datasets", name).mkdir(parents=True)
    pictures, sounds = ["image_id\timage\tcaption"], ["uniq_id\taudio\ttext\tduration"]
    for i in range(rows):
        Image.fromarray(np.asarray(seen[i].fields["image"])).save(f"datasets/coco/{i}.png")
        pictures.append(f"{i}\t{i}.png\t{seen[i].fields['text']}")
        wave, rate = heard[i].fields["audio"]
        soundfile.write(f"datasets/clotho/{i}.flac", wave, rate)
        sounds.append(f"{i}\t{i}.flac\t{heard[i].fields['text']}\t1.0")
    for split in ("train", "val"):
        Path(f"datasets/coco/{split}.tsv").write_text("\n".join(pictures) + "\n")
        Path(f"datasets/clotho/{split}.tsv").write_text("\n".join(sounds) + "\n")
    captions = {str(i): [seen[i].fields["text"]] for i in range(rows)}
    Path("datasets/coco/val_texts.json").write_text(json.dumps(captions))
    Tokenizer.train([*seen.texts(), *heard.texts()]).save("datasets/bpe")


BEYOND = (
    "ade20k",
    "coco_stuff",
    "coco_detection",
)  # 896 and 1,280 pixels at this width want a larger machine
RECIPES = [
    path
    for path in sorted((CONFIGS / "paper").glob("*.yaml"))
    if path.stem not in ("image_text", "audio_text", "esc50", *BEYOND) and not path.stem.endswith("zero_shot")
]
ABLATIONS = sorted((CONFIGS / "ablation").glob("*.yaml"))


@pytest.mark.slow
def test_a_step_of_every_ablation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_data()
    for path in ABLATIONS:
        assert main(["fit", "--config", str(path), *ONE_STEP]) == 0, path
        assert Path("runs", path.stem, "model").is_dir()


def write_benchmarks() -> None:
    """Write a made-up copy of every benchmark, and a tokenizer."""
    write_all(Path())
    Tokenizer.train(TriWorldSource(size=4, modalities=("text",)).texts()).save("datasets/bpe")


def untrained(verb: str, path: Path, *words: str) -> int:
    """Run a recipe of fine-tuning from random weights."""
    given = [*ONE_STEP, *words, "--model.init_from", "null", "--model.new_head", "false"]
    if verb == "test":
        given += ["--model.random_weights", "true", "--trainer.limit_test_batches", "2"]
    return main([verb, "--config", str(path), *given])


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_step_of_every_fine_tuning(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.stem == "kinetics400":
        pytest.importorskip("av", reason="reading videos needs the extra: video")
    monkeypatch.chdir(tmp_path)
    write_benchmarks()
    assert untrained("fit", path) == 0
    assert Path("runs", path.stem, "model").is_dir()


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        pytest.param("esc50", ENCODER, id="esc50"),
        pytest.param("esc50", [], marks=pytest.mark.slow, id="esc50-4b"),
        pytest.param("coco_zero_shot", [], marks=pytest.mark.slow, id="coco_zero_shot-4b"),
    ],
)
def test_zero_shot(name: str, sizes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_benchmarks()
    assert untrained("test", CONFIGS / f"paper/{name}.yaml", *sizes) == 0


def weights(folder: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(f"{folder}/model.safetensors")


@pytest.mark.parametrize(
    ("sizes", "width"),
    [
        pytest.param([*ENCODER, *DECODER], 96, id="narrow"),
        pytest.param([], 1536, marks=pytest.mark.slow, id="4b"),
    ],
)
def test_a_step_of_each_stage(
    sizes: list[str], width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_data()
    assert main(["fit", "--config", str(CONFIGS / "pretraining/paper_stage1.yaml"), *ONE_STEP, *sizes]) == 0
    first = weights("runs/paper_stage1/model")
    assert first["encoder.adapters.text.token_table"].shape == (50264, width)
    assert main(["fit", "--config", str(CONFIGS / "pretraining/paper_stage2.yaml"), *ONE_STEP, *sizes]) == 0
    second = weights("runs/paper_stage2/model")
    attention = "encoder.transformer.blocks.0.attention.project_in.shared.weight"
    assert torch.equal(first[attention], second[attention])
    assert "encoder.adapters.audio.project.weight" in second
    moved = "decoder.adapters.text.mask_token"
    assert not torch.equal(first[moved], second[moved])
