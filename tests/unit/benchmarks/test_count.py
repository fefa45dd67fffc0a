"""``bench count``: what it prints and writes, its errors, and counts within their budgets."""

import json
from pathlib import Path

import pytest
import yaml

from onepeace_pl.cli import main

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


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["debug", "--encode", "smell"], "debug reads text, image, audio"),
        (["debug", "--encode", "text", "--roofline", "abacus"], "no roofline of 'abacus'"),
        (["debug", "--encode", "text", "--batch-size", "0"], "--batch-size 0 must be at least 1"),
        (["debug", "--encode", "text", "--tokens", "1", "3"], "a text has 2 ids or more"),
        (["debug", "--encode", "text", "--device", "tpu"], "operators are counted for cpu or cuda"),
        (["nothing", "--encode", "text"], "no preset 'nothing'"),
    ],
)
def test_errors(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "count", *words]) == 2
    assert says in capsys.readouterr().err
