"""Every kind of stop, against the unbroken run: the proof behind "resuming is exact" of ``docs/guide/checkpoints.md``.

It takes minutes: ``uv run pytest -m slow tests/resume``.
"""

from __future__ import annotations

import itertools
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from .small_run import differences, record, run_processes
from .test_resume import stop_and_resume

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
LIMITS: list[dict[str, Any]] = [{"max_steps": 13}, {"max_epochs": 2}]
RUNS = [
    {**limit, "workers": workers, "accumulate_grad_batches": batches, "devices": devices, "every_n_steps": 2}
    for limit, workers, batches, devices in itertools.product(LIMITS, (0, 2), (1, 3), (1, 2))
]


def named(options: dict[str, Any]) -> str:
    return "-".join(f"{name}{value}" for name, value in options.items())


def whole(folder: Path, **options: Any) -> dict[str, Any]:
    assert set(run_processes(folder, **options)) == {0}
    return record(folder)


@pytest.mark.parametrize("options", RUNS, ids=named)
def test_signals_at_random_moments(options: dict[str, Any], tmp_path: Path) -> None:
    """Three kills, two of them of one run, a SIGTERM and a SIGINT for each of 16 kinds of runs."""
    draw = random.Random(str(options))
    unbroken = whole(tmp_path / "unbroken", **options)
    stops = [(signal.SIGKILL, signal.SIGKILL), (signal.SIGKILL, signal.SIGTERM), (signal.SIGINT,)]
    for at, numbers in enumerate(stops):
        folder = tmp_path / f"stopped-{at}"
        for number in numbers:
            run_processes(folder, number, draw.randrange(1, 7), draw.random() / 20, **options)
            if (folder / "results.json").exists():
                break
        if not (folder / "results.json").exists():
            assert set(run_processes(folder, **options)) == {0}
        assert differences(record(folder), unbroken) == [], numbers


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("limit", LIMITS, ids=named)
def test_killed_while_a_checkpoint_is_written(limit: dict[str, Any], count: int, tmp_path: Path) -> None:
    unbroken = whole(tmp_path / "unbroken", **limit)
    assert run_processes(tmp_path / "stopped", dies_at=count, **limit) == [-signal.SIGKILL]
    assert run_processes(tmp_path / "stopped", **limit) == [0]
    assert differences(record(tmp_path / "stopped"), unbroken) == []


HOOKS = ("on_train_batch_start", "on_train_batch_end", "on_validation_batch_start", "on_train_epoch_end")


@pytest.mark.parametrize("kind", ["masks", "several"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("hook", HOOKS)
def test_other_tasks(kind: str, number: int, hook: str, tmp_path: Path) -> None:
    """The point sampling of Mask2Former; two tasks, each in epochs of its own."""
    options: dict[str, Any] = {
        "kind": kind,
        "max_epochs": 2,
        "val_check_interval": 0.5,
        "limit_val_batches": 2,
    }
    unbroken = whole(tmp_path / "unbroken", **options)
    count = 1 if hook == "on_train_epoch_end" else 3
    assert differences(stop_and_resume(tmp_path / "stopped", hook, count, number, **options), unbroken) == []
