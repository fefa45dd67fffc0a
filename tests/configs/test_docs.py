"""The commands of docs/guide/configs.md run, in their order."""

import pytest

from onepeace_pl.cli import main
from onepeace_pl.cli.stand_in import resolve
from tests.configs.pages import ROOT, blocks, commands

COMMANDS = commands("docs/guide/configs.md")
SMALL = [
    *("--model.backbone.transformer.preset", "debug", "--data.size", "64", "--data.gallery_size", "16"),
    *("--data.batch_size", "16", "--data.num_workers", "0"),
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder that looks like a checkout and may be written to."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "configs").symlink_to(ROOT / "configs")
    return folder


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_runs(words, checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    # little data and a small model; the rest of a command is what the page says
    starts = words[0] in ("fit", "validate") and "--ckpt_path" not in words
    assert main([*words, *(SMALL if starts else [])]) == 0


def test_example_of_a_file_that_starts_from_others(tmp_path, monkeypatch):
    (text,) = (
        b for b in blocks("docs/guide/configs.md", "yaml") if b.startswith("# configs/pretraining/bigger")
    )
    (tmp_path / "bigger.yaml").write_text(text.replace("../", f"{ROOT}/configs/"))
    monkeypatch.chdir(tmp_path)
    backbone = resolve(["-c", "bigger.yaml"])["model"]["backbone"]["init_args"]
    assert backbone["transformer"]["depth"] == 6
    assert "audio" in backbone["adapters"]
