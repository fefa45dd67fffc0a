"""``configs``: what ships, what a config means, copies that work, mistakes found."""

from pathlib import Path

import pytest
import yaml

from onepeace_pl.cli import main


@pytest.fixture
def shipped(configs, monkeypatch):
    monkeypatch.setattr("onepeace_pl.commands.configs.shipped", lambda: configs)
    monkeypatch.setattr("onepeace_pl.cli.shipped.shipped", lambda: configs)
    return configs


def test_ls_shows_every_description(shipped, capsys):
    assert main(["configs", "ls"]) == main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    line = next(line for line in lines if "depth_by_turns.yaml" in line)
    assert line.split(maxsplit=1) == [
        "toy_configs/experiment/depth_by_turns.yaml",
        "Starts from other files and changes them: what stands here wins.",
    ]
    assert len(lines) == 2 * len(list(shipped.rglob("*.yaml")))


def sources(out):
    """Map the stripped text of a line to its source."""
    return {line.partition("  # ")[0].strip(): line.partition("  # ")[2] for line in out.splitlines()}


def test_show_prints_the_origin_of_every_value(configs, capsys):
    Path("later.yaml").write_text("model: {backbone: {adapters: {image: {patch: 2}}}}")
    flags = "-c", "later.yaml", "--data.size=16", "--model.task.init_args.dropout", "0.5"
    assert main(["configs", "show", str(configs / "experiment/depth_by_turns.yaml"), *flags]) == 2
    capsys.readouterr()  # MultiTask has no dropout
    flags = "-c", "later.yaml", "--data.size=16"
    assert main(["configs", "show", str(configs / "experiment/depth_by_turns.yaml"), *flags]) == 0
    said = sources(capsys.readouterr().out)
    assert said["max_steps: 4"].endswith("trainer/cpu.yaml")
    assert said["stage: depth"].endswith("experiment/depth_by_turns.yaml")
    assert said["class_path: my_sensors.DepthAdapter"].endswith("override/depth.yaml")
    assert said["class_path: toy.TextAdapter"].endswith("backbone/tiny.yaml")
    assert said["dropout: 0.1"].endswith("task/classify.yaml")
    assert said["patch: 2"] == "later.yaml"
    assert said["size: 16"] == "command line"
    assert "batch_size: 4" not in said


@pytest.mark.parametrize("everything", [[], ["--all"]])
def test_what_show_prints_is_a_config(configs, capsys, everything):
    file = str(configs / "experiment/depth_by_turns.yaml")
    assert main(["fit", "-c", file, "--print_config"]) == 0
    expected = yaml.safe_load(capsys.readouterr().out)
    assert main(["configs", "show", file, *everything]) == 0
    Path("shown.yaml").write_text(capsys.readouterr().out)
    assert main(["fit", "-c", "shown.yaml", "--print_config"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert {**shown, "run": None} == {**expected, "run": None}


def test_cp_takes_along_what_is_referred_to(configs, capsys):
    assert main(["configs", "cp", str(configs / "experiment/depth_by_turns.yaml"), "mine"]) == 0
    copied = set(capsys.readouterr().out.splitlines())
    assert {"mine/experiment/by_turns.yaml", "mine/task/classify.yaml", "mine/trainer/cpu.yaml"} <= copied
    assert "mine/experiment/classify.yaml" not in copied
    assert main(["fit", "-c", "mine/experiment/depth_by_turns.yaml", "--trainer.max_steps=1"]) == 0
    assert main(["configs", "cp", str(configs / "experiment/by_turns.yaml"), "mine"]) == 2
    assert "exists already; nothing was copied" in capsys.readouterr().err
    assert main(["configs", "cp", "nothing.yaml", "mine"]) == 2


def test_check_builds_without_memory_and_names_what_is_wrong(configs, shipped, capsys):
    assert main(["configs", "check"]) == 0
    assert "3 of 3 configs are right" in capsys.readouterr().out
    Path("typo.yaml").write_text(f"config: {configs}/experiment/classify.yaml\ndata: {{sise: 3}}")
    Path("refused.yaml").write_text(
        f"config: {configs}/experiment/classify.yaml\nmodel: {{backbone: {{stage: none}}}}"
    )
    assert (
        main(["configs", "check", "typo.yaml", "refused.yaml", str(configs / "experiment/classify.yaml")])
        == 2
    )
    out, err = capsys.readouterr()
    assert "1 of 3 configs are right" in out
    errors = [line for line in err.splitlines() if line.startswith("error:")]
    assert "typo.yaml" in errors[0]
    assert "did you mean 'size'?" in errors[0]
    assert errors[1] == "error: refused.yaml: stage 'none' trains nothing; choose 'all'"
    assert not Path("runs").exists()


def test_check_does_without_data_that_are_not_here(configs, capsys):
    start = f"config: {configs}/experiment/classify.yaml"
    Path("absent.yaml").write_text(
        f"{start}\ndata: {{class_path: toy.FileData, init_args: {{path: gone.tsv}}}}"
    )
    assert main(["fit", "-c", "absent.yaml"]) == 2
    assert capsys.readouterr().err.endswith("error: no such file: gone.tsv\n")
    assert main(["configs", "check", "absent.yaml"]) == 0
    assert "note: absent.yaml: the data are not here (no such file: gone.tsv)" in capsys.readouterr().out


def test_unknown_action(capsys):
    assert main(["configs", "list"]) == 2
    assert "configs has no 'list'; did you mean 'ls'?" in capsys.readouterr().err
