"""The page that follows a batch names the files that run."""

import re
import sys
from pathlib import Path
from types import FrameType

import torch

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.tasks.classification import Classification

from ..unit.tasks.labelled import backbone, batch

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/guide/from_row_to_loss.md"
BESIDE = re.compile(r"onepeace_pl/(nn/fast|metrics)/")  # kernels, and the accuracy that is logged


def files_that_run() -> set[str]:
    """Files of the package that a step of image classification runs, from a batch to its loss."""
    model = backbone("image", "text")
    task = Classification(model, DataInfo(classes=("bell", "drum", "horn", "bee")))
    inputs = batch(("image",), torch.tensor([2, 0, 3]))
    found: set[str] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT):
            found.add(path.resolve().relative_to(ROOT).as_posix())

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        task(model, inputs)
    finally:
        sys.setprofile(before)
    return {path for path in found if path.startswith(("onepeace_pl/", "tasks/"))}


def test_a_step_reads_in_few_files_and_the_page_names_them() -> None:
    ran = {path for path in files_that_run() if not BESIDE.match(path)}
    ran.add("onepeace_pl/training/experiment.py")  # calls the task
    assert "onepeace_pl/nn/attention.py" in ran
    assert len(ran) <= 14, sorted(ran)
    page = PAGE.read_text(encoding="utf-8")
    assert not [path for path in ran if f"../../{path})" not in page]
