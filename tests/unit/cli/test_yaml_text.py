"""What no config can be is refused at once, wherever it is named."""

import os
import time
from pathlib import Path

import pytest

from onepeace_pl.cli import main


def bomb():
    """Nine aliases on each of twelve lines: a kilobyte that means 9 ** 11 values."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    return "\n".join(lines)


@pytest.fixture
def files():
    Path("bomb.yaml").write_text(bomb())
    Path("circle.yaml").write_text("model: &m {task: *m}")
    Path("deep.yaml").write_text("[" * 20_000)
    Path("large.yaml").write_text("a: [" + "1," * 25_000_000 + "]")
    Path("latin.yaml").write_bytes(b"a: \xff")
    os.mkfifo("pipe.yaml")
    Path("mentions.yaml").write_text("model: {backbone: bomb.yaml}")
    Path("waits.yaml").write_text("model: {backbone: pipe.yaml}")


LINES = {
    "bomb.yaml": "bomb.yaml: this YAML unfolds to more than 100,000 values; are its aliases (*name) meant?",
    "circle.yaml": "circle.yaml: this YAML unfolds to more than",
    "deep.yaml": "deep.yaml: this YAML is nested too deeply for a config",
    "large.yaml": "large.yaml has 48 MiB; a config has at most 1",
    "latin.yaml": "latin.yaml is no UTF-8 (byte 0xff at 3); save it as UTF-8",
    "pipe.yaml": "is a pipe or a device; give a",
    "mentions.yaml": "bomb.yaml: this YAML unfolds",
    "waits.yaml": "pipe.yaml is a pipe or a device; give a YAML file",
    "/dev/zero": "is a pipe or a device; give a",
    ".": "no config '.'",
}


@pytest.mark.usefixtures("files")
def test_each_is_one_line_at_once(classify, capsys):
    started = time.process_time()
    words = [["fit", "-c", name] for name in LINES]
    words += [
        [*verb, name] for verb in (["configs", "check"], ["sweep"]) for name in ("bomb.yaml", "pipe.yaml")
    ]
    for each in words:
        assert main(each) == 2, each
        error = capsys.readouterr().err
        assert LINES[each[-1]] in error, each
        assert len(error.splitlines()) == 1
    assert main(["fit", "-c", str(classify), "--model.backbone=bomb.yaml"]) == 2
    assert "unfolds to more than" in capsys.readouterr().err
    assert main(["fit", "-c", str(classify), "--model.backbone=pipe.yaml"]) == 2
    assert "'pipe.yaml' is a pipe or a device; give a file" in capsys.readouterr().err
    assert time.process_time() - started < 60  # none of them was unfolded or read to its end


def test_aliases_are_welcome(resolve, classify):
    Path("same.yaml").write_text("trainer: {max_steps: &n 7, limit_val_batches: *n}")
    trainer = resolve("-c", classify, "-c", "same.yaml")["trainer"]
    assert (trainer["max_steps"], trainer["limit_val_batches"]) == (7, 7)
