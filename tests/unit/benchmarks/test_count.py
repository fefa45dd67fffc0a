"""``bench count``: what it prints and writes, its errors, and counts within their budgets."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from onepeace_pl.benchmarks.count import Count, count_step
from onepeace_pl.benchmarks.fake import FakeDevice, materialise
from onepeace_pl.benchmarks.resident import resident_batch
from onepeace_pl.benchmarks.training_step import TrainingStep
from onepeace_pl.benchmarks.utilisation import allocate
from onepeace_pl.cli import main
from onepeace_pl.cli.measured import read_run

from .renew_count_budgets import BUDGETS, counted

CASES = yaml.safe_load(BUDGETS.read_text(encoding="utf-8"))
SLACK = 0.01


def count(tmp_path: Path, *words: str) -> dict:
    target = tmp_path / "count.json"
    assert main(["bench", "count", *words, "--json", str(target)]) == 0
    found: dict = json.loads(target.read_text())
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["command"])
def test_budget(case: dict) -> None:
    now = counted(case["command"])
    moved = {name: (case[name], value) for name, value in now.items() if abs(value / case[name] - 1) > SLACK}
    assert not moved, f"meant, or a gain? then renew {BUDGETS.name}, as its head says"


def test_encode_of_a_preset(tmp_path: Path) -> None:
    text, image = (
        count(tmp_path, "debug", "--encode", name, "--batch-size", "2") for name in ("text", "image")
    )
    both = count(tmp_path, "debug", "--encode", "text+image", "--batch-size", "2")
    assert both["total"]["flops"] == text["total"]["flops"] + image["total"]["flops"]
    assert set(image["parts"]) >= {
        "image adapter",
        "encoder attention",
        "encoder feed-forward",
        "projections",
    }
    twice = count(tmp_path, "debug", "--encode", "image", "--batch-size", "4")
    assert twice["total"]["flops"] == 2 * image["total"]["flops"]
    assert twice["peak_bytes"]["parameters"] == image["peak_bytes"]["parameters"]


SMALL = [
    "--model.backbone.transformer.preset",
    "debug",
    "--model.backbone.transformer.activation_checkpointing",
]


def counted_step(mode: str, fake: bool, rows: int) -> Count:
    run = read_run("quickstart", [*SMALL, mode], batch_size=rows)
    experiment = run.experiment
    assert experiment.task is not None
    batch = resident_batch(experiment.task.needs, run.prepared)
    with FakeDevice() if fake else nullcontext():
        if fake:
            materialise(experiment, "cpu")
        else:
            allocate(experiment, "cpu")
        return count_step(TrainingStep(experiment, batch, run.precision, run.clip))


def test_a_step_costs_on_fake_tensors_what_it_costs_on_real_ones() -> None:
    modes = {"none": 16, "full": 4}  # 16 are enough to be split by length
    counts = {mode: counted_step(mode, True, rows) for mode, rows in modes.items()}
    for mode, count in counts.items():
        real = counted_step(mode, False, modes[mode])
        assert {name: vars(cost) for name, cost in count.operators.items()} == {
            name: vars(cost) for name, cost in real.operators.items()
        }
        assert count.peak.bytes == pytest.approx(real.peak.bytes, rel=0.02)
        assert count.costs.keys() == real.costs.keys()
    none, full = counted_step("none", True, 4), counts["full"]
    assert full.whole.flops > none.whole.flops
    assert full.peak.bytes < none.peak.bytes


def test_step_of_a_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*SMALL, "none", "--batch-size", "2"]
    found = count(tmp_path, "quickstart", *words)
    assert set(found["parts"]) >= {"text adapter", "image adapter", "encoder attention", "decoder", "losses"}
    assert found["parts"]["optimizer"].keys() == {"update"}
    assert found["peak_bytes"]["optimizer state"] == pytest.approx(
        2 * found["peak_bytes"]["parameters"], rel=0.01
    )
    assert found["host_syncs"] == {}  # on a CPU nothing waits
    assert "| encoder feed-forward | backward |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["debug", "--encode", "smell"], "debug reads text, image, audio"),
        (["debug", "--encode", "text", "--roofline", "abacus"], "no roofline of 'abacus'"),
        (["debug", "--encode", "text", "--batch-size", "0"], "--batch-size 0 must be at least 1"),
        (["debug", "--encode", "text", "--tokens", "1", "3"], "a text has 2 ids or more"),
        (["debug", "--encode", "text", "--device", "tpu"], "operators are counted for cpu or cuda"),
        (["nothing", "--encode", "text"], "no preset 'nothing'"),
        (["debug", "--encode", "text", "--width", "3"], "unrecognized arguments with --encode: --width 3"),
        (["nothing.yaml"], "no config 'nothing.yaml'"),
        (["quickstart", "--trainer.precision", "64-true"], "trainer.precision '64-true' cannot be measured"),
    ],
)
def test_errors(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "count", *words]) == 2
    assert says in capsys.readouterr().err
