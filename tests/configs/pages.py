"""What the pages of the documentation tell a reader to run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHORT = [
    *(
        "--trainer.max_steps",
        "2",
        "--trainer.val_check_interval",
        "2",
        "--trainer.enable_progress_bar",
        "false",
    ),
    *("--data.size", "64", "--data.gallery_size", "16", "--data.batch_size", "8", "--data.num_workers", "0"),
]
TASK_SHORT = [  # for what configs/triworld/ asks
    *SHORT[:6],
    *(
        "--data.size",
        "64",
        "--data.evaluation_size",
        "16",
        "--data.batch_size",
        "8",
        "--data.num_workers",
        "0",
    ),
]


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a page that are marked with a language; "" for those that are not."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.M)
    return [text for marked, text in found if marked == language]


def commands(page: str) -> list[list[str]]:
    """Return the words after ``python -m onepeace_pl`` of every command of a page."""
    lines = [line for block in blocks(page, "bash") for line in block.splitlines() if line.strip()]
    said = [shlex.split(line) for line in lines]
    return [words[words.index("onepeace_pl") + 1 :] for words in said if "onepeace_pl" in words]
