"""How a config is found: an existing file wins, then the names that ``configs ls`` prints."""

from pathlib import Path

import pytest

from onepeace_pl.cli import main
from onepeace_pl.cli.merge import family, parents
from onepeace_pl.cli.shipped import find_config, shipped, with_found_configs


@pytest.mark.parametrize(
    "name", ["quickstart", "quickstart.yaml", "configs/quickstart", "configs/quickstart.yaml"]
)
def test_names_of_a_shipped_config(name):
    assert find_config(name) == shipped() / "quickstart.yaml"


def test_every_printed_name_works(capsys):
    assert main(["configs", "ls"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {find_config(name) for name in names} == set(shipped().rglob("*.yaml"))


def test_an_existing_file_wins():
    Path("configs").mkdir()
    for name in ("quickstart", "configs/quickstart.yaml"):
        Path(name).write_text("")
        assert find_config(name) == Path(name)
    assert find_config("configs/quickstart_audio.yaml") == shipped() / "quickstart_audio.yaml"


def test_a_bare_name_is_one_file():
    assert find_config("paper_stage1") == shipped() / "pretraining/paper_stage1.yaml"
    assert find_config("esc50", kind="parts/data") == shipped() / "parts/data/esc50.yaml"
    with pytest.raises(ValueError, match=r"'esc50' may be paper/esc50 or parts/data/esc50; say which"):
        find_config("esc50")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("quickstrat", "did you mean 'quickstart'?"),
        ("configs/paper/esc5.yaml", "did you mean 'paper/esc50'?"),
        ("mine/frist.yaml", "did you mean 'mine/first.yaml'?"),
        ("base.yaml", "did you mean"),  # with an ending it is a path, not a name
        ("qqqq", "configs ls lists those that ship"),
    ],
)
def test_a_mistake_takes_one_line(name, hint, capsys):
    Path("mine").mkdir()
    Path("mine/first.yaml").write_text("")
    assert main(["fit", "--config", name]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: no config '{name}'; {hint}")
    assert err.count("\n") == 1


def test_words_of_a_command_line():
    quick, debug = (str(shipped() / name) for name in ("quickstart.yaml", "parts/backbone/debug.yaml"))
    Path("configs/parts/task").mkdir(parents=True)
    Path("configs/parts/task/own.yaml").write_text("")
    words = ["-c", "quickstart", "--config=quickstart", "--model.backbone=configs/parts/backbone/debug.yaml"]
    words += [
        "--model.backbone",
        "configs/parts/backbone/debug.yaml",
        "--model.task",
        "configs/parts/task/own.yaml",
    ]
    assert with_found_configs(["fit", *words, "--run", "quickstart"]) == [
        *("fit", "-c", quick, f"--config={quick}", f"--model.backbone={debug}", "--model.backbone", debug),
        *("--model.task", "configs/parts/task/own.yaml", "--run", "quickstart"),
    ]


def test_a_file_starts_from_a_shipped_one_by_name():
    Path("own.yaml").write_text("config: [quickstart, beside.yaml]\n")
    Path("beside.yaml").write_text("seed_everything: 1\n")
    own = Path("own.yaml")
    assert parents(own) == [shipped() / "quickstart.yaml", Path("beside.yaml")]
    assert family(own) == [own.resolve(), Path("beside.yaml").resolve()]  # what configs cp takes along
