"""Run folders: where a run is, what happens to an older one, how a run goes on."""

import csv
import os
from pathlib import Path

import pytest
import torch
import yaml

from onepeace_pl.cli import main
from onepeace_pl.cli.lightning import run
from onepeace_pl.cli.runs import claim, find_checkpoint, hold, run_folder, values_of
from onepeace_pl.utils.claim import Claim, claim_file

RUN = Path("runs/classify")
LAST = RUN / "checkpoints/last.ckpt"


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def test_name_or_path():
    assert run_folder("quickstart") == Path("runs/quickstart")
    assert run_folder("./here") == Path("here")
    assert run_folder("/far/away/") == Path("/far/away")


def test_a_checkpoint_by_path_or_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"--ckpt_path: no file or folder '.*checkpoints/last\.ckpt'"):
        find_checkpoint("last", tmp_path)
    (tmp_path / "checkpoints/last.ckpt").mkdir(parents=True)  # sharded
    (tmp_path / "checkpoints/last.ckpt/.metadata").write_text("")
    assert find_checkpoint("last", tmp_path) == str(tmp_path / "checkpoints/last.ckpt")
    (tmp_path / "a.ckpt").write_text("no weights")
    with pytest.raises(ValueError, match=r"a\.ckpt' is no checkpoint; a run writes them to RUN/checkpoints/"):
        find_checkpoint(str(tmp_path / "a.ckpt"), tmp_path)
    assert find_checkpoint(None, tmp_path) is None


def test_a_checkpoint_that_a_kill_left_without_its_name(tmp_path):
    (tmp_path / "checkpoints/.old-last.ckpt").mkdir(parents=True)
    (tmp_path / "checkpoints/.old-last.ckpt/.metadata").write_text("")
    assert find_checkpoint("last", tmp_path) == str(tmp_path / "checkpoints/.old-last.ckpt")
    hold(tmp_path).give_up()
    assert find_checkpoint("last", tmp_path) == str(tmp_path / "checkpoints/last.ckpt")


def test_a_run_refuses_a_folder_in_which_another_one_lives(classify, capsys, monkeypatch):
    assert main(["fit", "-c", str(classify)]) == 0
    before = {path: path.stat().st_mtime_ns for path in RUN.rglob("*")}
    with Claim(claim_file(RUN)) as claim:  # as a living run has it
        assert claim.held
        for words in ([], ["--ckpt_path", "last"], ["--run", "./runs/classify"]):
            assert main(["fit", "-c", str(classify), *words]) == 2
            line = capsys.readouterr().err.strip().splitlines()[-1]
            assert line.startswith("error: a run is at work in 'runs/classify': ")
            assert line.endswith("choose another --run")
        assert main(["validate", "-c", str(classify), "--ckpt_path", "last"]) == 0
        monkeypatch.setenv("ONEPEACE_PL_CLAIM", str(claim.path))  # a sweep that has claimed its cell
        assert main(["fit", "-c", str(classify), "--ckpt_path", "last", "--trainer.max_steps=5"]) == 0
    monkeypatch.delenv("ONEPEACE_PL_CLAIM")
    assert before.keys() <= set(RUN.rglob("*"))
    assert [path.name for path in Path("runs").glob("[!.]*")] == ["classify"]
    assert main(["fit", "-c", str(classify)]) == 0  # it has ended


def test_what_is_no_checkpoint_is_told_what_to_give(classify, capsys):
    assert main(["fit", "-c", str(classify)]) == 0
    Path("folder").mkdir()
    Path("weights").mkdir()
    Path("weights/model.safetensors").write_text("")
    for given, hint in {
        RUN: f"give {RUN}/checkpoints/best.ckpt or {LAST}",
        RUN / "checkpoints": f"give {RUN}/checkpoints/best.ckpt or {LAST}",
        "weights": "a model folder goes to --model.init_from weights",
        "folder": "a run writes them to RUN/checkpoints/",
    }.items():
        for words in (["validate"], ["fit", "-c", str(classify)]):
            capsys.readouterr()
            assert main([*words, "--ckpt_path", str(given)]) == 2
            assert capsys.readouterr().err == f"error: --ckpt_path: '{given}' is no checkpoint; {hint}\n"
    os.mkfifo("pipe")  # which would be waited for
    assert main(["validate", "--ckpt_path", "pipe"]) == 2
    assert main(["fit", "-c", str(classify), "--ckpt_path=pipe"]) == 2
    assert "'pipe' is a pipe or a device; give a file" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_one_line_without_torchs_advice(classify, capsys):
    assert main(["fit", "-c", str(classify)]) == 0
    whole = LAST.read_bytes()
    hostile = Path("hostile.ckpt")
    torch.save({"state_dict": {}, "run": os.system}, hostile)
    damaged = {
        "cut": whole[: len(whole) // 2],
        "pickle": whole.replace(b"state_dict", b"\x00" * 10),
        "hostile": hostile.read_bytes(),
        "empty": b"",
    }
    for name, content in damaged.items():
        Path(f"{name}.ckpt").write_bytes(content)
        for verb in ("validate", "fit"):
            capsys.readouterr()
            assert main([verb, "-c", str(classify), "--run=other", "--ckpt_path", f"{name}.ckpt"]) == 2, name
            errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
            assert len(errors) == 1
            assert any(
                word in errors[0]
                for word in ("is no checkpoint", "damaged", "could run code", "can run code")
            )
            assert "weights_only" not in errors[0]
    assert LAST.read_bytes() == whole


@pytest.mark.parametrize("verb", ["fit", "validate", "test"])
def test_a_named_checkpoint_that_is_not_there_is_refused(verb, classify, capsys):
    assert main([verb, "-c", str(classify), "--ckpt_path", "last"]) == 2
    assert (
        "error: --ckpt_path: no file or folder 'runs/classify/checkpoints/last.ckpt'"
        in capsys.readouterr().err
    )


def test_values_of_options():
    assert values_of(["fit", "-c", "a.yaml", "--config=b.yaml", "--run", "x"], "-c", "--config") == [
        "a.yaml",
        "b.yaml",
    ]


def test_fit_fills_the_folder_named_after_the_first_config(classify, depth):
    assert main(["fit", "-c", str(classify), "-c", str(depth)]) == 0
    names = {path.name for path in RUN.iterdir()}
    assert {"config.yaml", "metrics.csv", "checkpoints"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert {path.name for path in (RUN / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert "# classify: fit" in (RUN / "report.md").read_text()
    with (RUN / "metrics.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file) if row["train/loss"]] == ["0", "1", "2", "3"]
    config = yaml.safe_load((RUN / "config.yaml").read_text())
    assert config["run"] == "runs/classify"
    assert list(config["model"]["backbone"]["init_args"]["adapters"]) == ["image", "text", "depth"]


@pytest.mark.parametrize(
    ("words", "bars"),
    [
        (["--trainer.enable_progress_bar=true"], ["TQDMProgressBar"]),
        (
            [
                "--trainer.enable_progress_bar=true",
                "--trainer.callbacks+=lightning.pytorch.callbacks.RichProgressBar",
            ],
            ["RichProgressBar"],
        ),
        (["--trainer.enable_progress_bar=false"], []),
    ],
)
def test_one_progress_bar_with_samples_a_second(classify, words, bars):
    trainer = run(["fit", "-c", str(classify), *words]).trainer
    callbacks = [type(callback).__name__ for callback in trainer.callbacks]
    assert [name for name in callbacks if "ProgressBar" in name] == bars
    assert "Throughput" in callbacks  # for the logs, whatever is shown


def test_a_run_repeats_from_its_config_and_the_older_one_moves_aside(classify, capsys):
    assert main(["fit", "-c", str(classify)]) == 0
    assert main(["fit", "-c", str(RUN / "config.yaml")]) == 0
    assert "note: older run moved to runs/classify.1" in capsys.readouterr().out
    older = Path("runs/classify.1")
    assert (older / "config.yaml").read_text() == (RUN / "config.yaml").read_text()
    first, second = weights(older / "checkpoints/last.ckpt"), weights(LAST)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert main(["fit", "-c", str(classify)]) == 0
    assert sorted(path.name for path in Path("runs").glob("[!.]*")) == [
        "classify",
        "classify.1",
        "classify.2",
    ]


def test_a_mistake_leaves_the_older_run_alone(classify):
    assert main(["fit", "-c", str(classify)]) == 0
    assert main(["fit", "-c", str(classify), "--trainer.max_stpes=1"]) == 2
    assert [path.name for path in Path("runs").glob("[!.]*")] == ["classify"]


def test_run_option_beats_the_file_name(classify):
    Path("named.yaml").write_text("run: from_file")
    assert main(["fit", "-c", str(classify), "-c", "named.yaml"]) == 0
    assert main(["fit", "-c", str(classify), "-c", "named.yaml", "--run=./elsewhere/x"]) == 0
    assert Path("runs/from_file/config.yaml").is_file()
    assert Path("elsewhere/x/config.yaml").is_file()


def test_a_folder_that_is_no_run_is_never_moved(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    assert claim(folder, resume=False) is None
    (folder / "chapter.txt").write_text("")
    with pytest.raises(ValueError, match="holds no run"):
        claim(folder, resume=False)


def test_checkpoint_finds_its_config_and_goes_on_in_its_folder(classify, capsys):
    assert main(["fit", "-c", str(classify)]) == 0
    assert main(["validate", "--ckpt_path", str(LAST), "--trust"]) == 0
    config = (RUN / "config.yaml").read_text()
    cli = run(
        ["fit", "--trust", "--ckpt_path", str(LAST), "--trainer.max_steps=6", "--model.task.dropout=0.7"]
    )
    assert cli.trainer.global_step == 6
    assert cli.model.task.dropout.p == 0.7  # flags beat what the checkpoint remembers
    assert [path.name for path in Path("runs").glob("[!.]*")] == ["classify"]
    with (RUN / "metrics.csv").open() as file:  # one file, without a gap
        assert [row["step"] for row in csv.DictReader(file) if row["train/loss"]] == [
            str(i) for i in range(6)
        ]
    assert not list(RUN.glob("metrics.*.csv"))
    after = yaml.safe_load((RUN / "config.yaml").read_text())
    assert after["ckpt_path"] is None
    assert after["trainer"]["max_steps"] == 6
    assert after["run"] == yaml.safe_load(config)["run"]


def test_checkpoint_of_another_run_starts_a_new_one(classify):
    assert main(["fit", "-c", str(classify)]) == 0
    words = "--trust", "--ckpt_path", str(LAST), "--run=second", "--trainer.max_steps=6"
    assert main(["fit", "-c", str(classify), *words]) == 0
    assert sorted(path.name for path in Path("runs").glob("[!.]*")) == ["classify", "second"]


def test_a_run_does_not_move_what_it_starts_from(classify, capsys):
    (RUN / "model").mkdir(parents=True)
    assert main(["fit", "-c", str(classify), "--model.init_from=runs/classify/model"]) == 2
    assert "lies in the run folder 'runs/classify'; choose another --run" in capsys.readouterr().err
    assert (RUN / "model").is_dir()


def test_fast_dev_run_leaves_nothing(classify):
    assert main(["fit", "-c", str(classify), "--trainer.fast_dev_run=true"]) == 0
    assert not RUN.exists()


def test_own_loggers_are_added(classify):
    Path("own.yaml").write_text("trainer: {logger: {class_path: toy.ListLogger}}")
    cli = run(["fit", "-c", str(classify), "-c", "own.yaml"])
    assert [type(each).__name__ for each in cli.trainer.loggers] == [
        "MetricsFile",
        "TensorBoardLogger",
        "ListLogger",
    ]
    assert any("train/loss" in metrics for metrics in cli.trainer.loggers[-1].metrics)
    assert (RUN / "metrics.csv").is_file()
    cli = run(["fit", "-c", str(classify), "--trainer.logger=false"])
    assert cli.trainer.loggers == []


def test_own_loggers_and_checkpoints_are_kept(classify):
    Path("mine.yaml").write_text(
        """
        trainer:
          logger: {class_path: lightning.pytorch.loggers.CSVLogger, init_args: {save_dir: logs}}
          callbacks:
            - class_path: lightning.pytorch.callbacks.ModelCheckpoint
              init_args: {dirpath: kept, monitor: val/loss, filename: mine}
        """
    )
    assert main(["fit", "-c", str(classify), "-c", "mine.yaml"]) == 0
    assert [path.name for path in Path("kept").iterdir()] == ["mine.ckpt"]
    assert list(Path("logs").rglob("metrics.csv"))
    assert {path.name for path in RUN.iterdir()} <= {
        "config.yaml",
        "report.md",
        "results.json",
        "curves.png",
        "checkpoints",
    } | {"hparams.yaml", *(path.name for path in RUN.glob("events.out.tfevents.*"))}
    assert [path.name for path in LAST.parent.iterdir()] == ["last.ckpt"]


def test_best_is_the_best_and_last_the_newest(classify, monkeypatch):
    monkeypatch.setattr("toy.Task.monitor", ("loss", "max"))  # which the training makes smaller
    assert main(["fit", "-c", str(classify), "--trainer.max_steps=10"]) == 0
    assert torch.load(RUN / "checkpoints/best.ckpt", weights_only=True)["global_step"] == 4
    assert torch.load(LAST, weights_only=True)["global_step"] == 10


def test_a_task_without_a_measure_keeps_the_newest(classify, monkeypatch):
    monkeypatch.setattr("toy.Task.monitor", None)
    assert main(["fit", "-c", str(classify), "--trainer.max_steps=8"]) == 0
    assert [path.name for path in (RUN / "checkpoints").iterdir()] == ["last.ckpt"]
    assert torch.load(LAST, weights_only=True)["global_step"] == 8


def test_a_report_of_an_evaluation_is_no_obstacle(classify):
    assert main(["validate", "-c", str(classify), "--model.random_weights=true"]) == 0
    assert (RUN / "report-validate.md").is_file()
    assert main(["fit", "-c", str(classify)]) == 0
