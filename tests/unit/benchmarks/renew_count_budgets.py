"""Count the commands of count_budgets.yaml again, or those that contain a word, and write their counts into it."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from onepeace_pl.cli import main

BUDGETS = Path(__file__).with_name("count_budgets.yaml")
COUNTS = ("flops", "bytes", "kernels")
HEAD = """\
# Budgets of test_count.py: a change may move none by more than 1 %. After a change that is meant to, run
#   python -m tests.unit.benchmarks.renew_count_budgets
# and say in the commit why.
"""


def counted(command: str) -> dict[str, int]:
    """Return FLOPs, bytes, kernels and peak bytes of a command of ``bench count``."""
    with TemporaryDirectory() as folder:
        target = Path(folder, "count.json")
        assert main(["bench", "count", *command.split(), "--json", str(target)]) == 0
        found = json.loads(target.read_text())
    return {name: found["total"][name] for name in COUNTS} | {"peak_bytes": found["peak_bytes"]["total"]}


if __name__ == "__main__":
    cases = yaml.safe_load(BUDGETS.read_text(encoding="utf-8"))
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    lines = [
        json.dumps(case | counted(case["command"]) if word in case["command"] else case) for case in cases
    ]
    BUDGETS.write_text(HEAD + "".join(f"- {line}\n" for line in lines), encoding="utf-8")
