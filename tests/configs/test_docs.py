"""The commands of docs/configs.md run, in their order."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from onepeace_pl.cli import main
from onepeace_pl.cli.blueprint import resolve

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/configs.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.S)
    for line in block.splitlines()
    if line.strip()
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder that looks like a checkout and may be written to."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "configs").symlink_to(ROOT / "configs")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_command_runs(command, checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    python, flag, module, *words = shlex.split(command)
    assert (python, flag, module) == ("python", "-m", "onepeace_pl")
    # small data; the rest of a command is what the page says
    small = ["--data.size", "64"] if words[0] in ("fit", "validate") and "--ckpt_path" not in words else []
    assert main([*words, *small]) == 0


def test_example_of_a_file_that_starts_from_others(tmp_path, monkeypatch):
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    text = re.search(r"```yaml\n(# configs/experiment/bigger.*?)```", PAGE, re.S)[1]
    content = yaml.safe_load(text)
    content["config"] = [str(ROOT / "configs/experiment" / name) for name in content["config"]]
    (tmp_path / "bigger.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)
    backbone = resolve(["-c", "bigger.yaml"])["model"]["backbone"]["init_args"]
    assert backbone["transformer"]["depth"] == 6
    assert "audio" in backbone["adapters"]
