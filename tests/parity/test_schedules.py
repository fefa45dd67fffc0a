"""Learning rates of every update against the original's."""

from pathlib import Path
from typing import Any

import pytest
import torch

from onepeace_pl.optim import Schedule, WarmupCosine, WarmupPolynomial

from .files import record

RELATIVE = 1e-9


def ours(config: dict[str, Any], kind: str) -> Schedule:
    warmup = config.get("warmup_updates", config.get("warmup_ratio"))
    if kind == "adjust_cosine":
        return WarmupCosine(warmup, config["min_lr"])
    return WarmupPolynomial(warmup, config["end_learning_rate"], config["power"])


def test_rates(golden: Path) -> None:
    runs = record(golden, "schedules")
    assert {run["scheduler"] for run in runs} == {"adjust_cosine", "adjust_polynomial_decay"}
    for run in runs:
        check_rates(run)


def check_rates(run: dict[str, Any]) -> None:
    config, cosine = run["config"], run["scheduler"] == "adjust_cosine"
    total = run["reinit_total"] or config.get("max_update") or config["total_num_update"]
    schedule, peak = ours(config, run["scheduler"]), config["lr"][0]
    values = {row["num_updates"]: row["lr"] for row in run["values"] if "num_updates" in row}
    assert len(values) > 10
    for step, expected in values.items():
        if cosine and step >= total:  # where the original starts a second period, ours stays
            assert schedule.lr(step, total, peak) == config["min_lr"]
        else:
            assert schedule.lr(step, total, peak) == pytest.approx(expected, rel=RELATIVE, abs=0)


def test_a_scaled_group(golden: Path) -> None:
    run = record(golden, "schedules")[0]
    expected = next(row for row in run["values"] if row.get("event") == "step_update(0)")
    parameter = torch.nn.Parameter(torch.ones(1))
    peak = run["config"]["lr"][0]
    optimizer = torch.optim.AdamW([{"params": [parameter], "lr": peak / 4, "lr_scale": 0.25}])
    ours(run["config"], run["scheduler"])(optimizer, run["config"]["max_update"])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(
        expected["lr_of_group_with_scale_0.25"], rel=RELATIVE
    )
