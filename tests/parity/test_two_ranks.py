"""Losses and gradients of two processes of the original, before any averaging."""

from functools import partial
from pathlib import Path

import pytest
import torch.distributed as dist

from tests.parity import pretraining
from tests.parity.files import record
from tests.parity.reference import pretrained
from tests.parity.test_losses import check_gradients, check_parts, official_gradients
from tests.two_processes import run_in_processes


def _compare(golden: Path) -> None:
    rank = dist.get_rank()
    expected = record(golden, "losses_two_ranks")[f"rank{rank}"]
    for run, stage in (("image_text_pretrain", 1), ("audio_text_pretrain", 2)):
        rows = next(value for key, value in expected[run].items() if key.startswith("rows_of_inputs"))
        backbone = pretrained(golden).train()
        task = pretraining.task(golden, backbone, stage)
        task.learns["text"] = stage == 1
        backbone.apply_stage(task.reads.modalities)
        step = task(backbone, pretraining.batch(golden, stage, rows))
        check_parts(step, expected[run])
        step.loss.backward()
        check_gradients(official_gradients(backbone), expected[run]["grad"])


@pytest.mark.distributed
def test_two_ranks(golden, tmp_path):
    run_in_processes(partial(_compare, golden), tmp_path)
