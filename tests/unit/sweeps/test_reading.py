"""A sweep's YAML: what is wrong is one line that names the thing and the remedy."""

from pathlib import Path

import pytest

from onepeace_pl.sweeps.reading import read_plan

RUN = "runs: {a: {config: a.yaml}}\n"


def test_paths_are_seen_from_the_files_folder():
    Path("configs/sweep").mkdir(parents=True)
    Path("configs/b.yaml").write_text("")
    path = Path("configs/sweep/s.yaml")
    path.write_text(
        "runs: {a: {config: [../b.yaml], options: {model.backbone: ../b.yaml, model.init_from: runs/x}}}\n"
        "search: {space: {model.task: [../b.yaml, null], model.lr: [1e-3]}}"
    )
    plan = read_plan(path)
    assert plan.name == "s"
    assert plan.runs["a"].config == ["configs/b.yaml"]
    assert plan.runs["a"].options == {"model.backbone": "configs/b.yaml", "model.init_from": "runs/x"}
    assert plan.search.space["model.task"] == ["configs/b.yaml", None]


def test_a_range_keeps_whole_numbers():
    Path("s.yaml").write_text(
        RUN + "search: {method: optuna, space: {n: {low: 1, high: 4}, x: {low: 1e-4, high: 1, log: true}}}"
    )
    space = read_plan(Path("s.yaml")).search.space
    assert isinstance(space["n"].low, int)
    assert space["x"].low == 1e-4
    assert space["x"].log


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "runs: {a: {config: a.yaml, metrc: val/x}}",
            "runs: Run has no option 'metrc'; did you mean 'metric'?",
        ),
        (RUN + "sed: [0]", "this command has no option 'sed'; did you mean 'seeds'?"),
        (RUN + "seeds: [one]", "seeds: expected int, got 'one'"),
        (RUN + "seeds: [1, 1]", "seeds [1, 1]: name at least one, and each once"),
        ("runs: {a: {config: a.yaml, seeds: []}}", "runs.a.seeds []: name at least one"),
        ("runs: {}", "runs is empty; name at least one"),
        ("seeds: [1]", "required: runs"),
        ("- a", "a sweep is a mapping that names 'runs'"),
        ("runs: [", "no valid YAML"),
        ("runs: {a: {config: b.yaml}}", "runs.a.config: no config 'b.yaml'"),
        ("runs: {a: {}}", "runs.a has no config; name the file"),
        ("runs: {a: {config: a.yaml}, a: {config: a.yaml}}", "line 1: 'a' comes twice; rename one"),
        ("runs: {a/b: {config: a.yaml}}", "runs: 'a/b' becomes part of a folder's name"),
        (
            "runs: {a: {config: a.yaml, verbs: [test, fit]}}",
            "runs.a.verbs ['test', 'fit']: name each once, and fit",
        ),
        (RUN + "common: {options: {model.task: b.yaml}}", "common.options.model.task: no file 'b.yaml'"),
        (RUN + "common: {options: {run: x}}", "common.options: 'run' is set by the sweep; drop it"),
        (
            RUN + "common: {options: {seed_everything: 3}}",
            "'seed_everything' is set by the sweep; write 'seeds'",
        ),
        (RUN + "common: {options: {ckpt_path: x}}", "'ckpt_path' is set by the sweep; drop it"),
        (RUN + "axes: {data: {}}", "axes.data is empty"),
        (RUN + "axes: {seed: {x: {}}}", "axes.seed: the table has a column of this name already"),
        (RUN + "workers: 0", "workers 0: at least 1"),
        (RUN + "search: {space: {}}", "search.space is empty; name an option"),
        (RUN + "search: {space: {x: []}}", "search.space.x []: name at least one value"),
        (RUN + "search: {space: {x: {low: 1, high: 2}}}", "search.space.x: a grid needs a list of values"),
        (
            RUN + "search: {space: {x: {lo: 1}}}",
            "search.space: Range has no option 'lo'; did you mean 'low'?",
        ),
        (RUN + "search: {method: optuna, space: {x: {low: 2, high: 1}}}", "low 2 must be below high 1"),
        (RUN + "search: {method: optuna, space: {x: {low: 0, high: 1, log: true}}}", "low 0 must be above 0"),
        (RUN + "search: {method: optuna, trials: 0, space: {x: [1]}}", "search.trials 0"),
        (RUN + "executor: {cluster: slurm, gpus: ['0']}", "executor.gpus is for processes of this machine"),
        (RUN + "executor: {gpus: ['0']}\nworkers: 2", "executor.gpus: 2 workers need as many entries, not 1"),
    ],
)
def test_what_is_wrong_is_one_line(text, line):
    Path("s.yaml").write_text(text)
    with pytest.raises(ValueError) as caught:
        read_plan(Path("s.yaml"))
    said = str(caught.value)
    assert said.startswith("s.yaml: ")
    assert line in said
    assert "\n" not in said
