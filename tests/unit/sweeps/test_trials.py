"""From a plan to commands, and to names that stay."""

from pathlib import Path

from onepeace_pl.sweeps.reading import read_plan
from onepeace_pl.sweeps.record import fingerprint
from onepeace_pl.sweeps.trials import combinations, make_group


def rows(path, point=None):
    plan = read_plan(path)
    return [make_group(plan, label, axes, point or {}) for label, axes in combinations(plan)]


def test_what_is_said_more_specifically_wins(write):
    for name in ("common", "big"):
        Path(f"{name}.yaml").write_text("")
    path = write(
        runs={"a": {"config": "a.yaml", "options": {"x": 2, "y": 2}, "verbs": ["fit", "test"]}},
        common={"config": "common.yaml", "options": {"w": [1, True], "x": 1, "y": 1, "z": 1}},
        axes={"data": {"big": {"config": ["big.yaml"], "options": {"y": 3, "z": 3}}}},
        seeds=[7],
    )
    (row,) = rows(path, {"z": 0.5})
    assert row.label == "a,data=big,z=0.5"
    (trial,) = row.trials
    assert trial.folder == Path("runs/s/a,data=big,z=0.5,seed=7")
    fit, test = trial.commands
    assert (fit.words[0], test.words[0]) == ("fit", "test")
    assert fit.words[1:] == test.words[1:]
    assert fit.words[1:7:2] == ("--config",) * 3
    assert fit.words[2:8:2] == ("a.yaml", "common.yaml", "big.yaml")
    assert fit.words[7:] == (
        "--run",
        str(trial.folder),
        "--seed_everything=7",
        "--w=[1, true]",
        "--x=2",
        "--y=3",
        "--z=0.5",
    )


def test_every_run_meets_every_label_and_seed(write):
    axes = {"data": {"d1": {}, "d2": {"metric": "val/two"}}, "size": {"s": {}, "l": {}}}
    runs = {"a": {"config": "a.yaml", "metric": "val/one"}, "b": {"config": "a.yaml", "seeds": [5]}}
    found = rows(write(runs=runs, axes=axes, seeds=[0, 1, 2]))
    assert len(found) == 8
    assert [len(row.trials) for row in found] == [3] * 4 + [1] * 4
    assert len({trial.name for row in found for trial in row.trials}) == 16
    assert {row.metric for row in found if row.axes["data"] == "d2"} == {"val/two"}
    assert {row.metric for row in found if row.axes["data"] == "d1"} == {"val/one", None}


def test_names_of_points_are_short_and_unique(write):
    plan = read_plan(write())

    def name(**point):
        return make_group(plan, "a", {}, {k.replace("_", "."): v for k, v in point.items()}).label

    assert name(model_lr=0.001, data_size=8) == "a,lr=0.001,size=8"
    assert name(model_lr=1, head_lr=2) == "a,model.lr=1,head.lr=2"
    assert name(lr=0.123456).startswith("a,lr=0.1235~")
    assert name(lr=0.123456) != name(lr=0.1234567)
    assert "/" not in name(betas=[0.9, 0.98]) + name(task="configs/parts/task/x.yaml")
    assert len(name(**{f"some.long.option.number.{i}": "a value of some length" for i in range(9)})) < 130


def test_fingerprint_depends_on_content_not_on_paths(write, tmp_path, monkeypatch):
    Path("part.yaml").write_text("y: 1")
    Path("a.yaml").write_text("x: part.yaml")
    path = write(common={"options": {"model.z": "part.yaml"}})
    first = fingerprint(rows(path)[0].trials[0])
    Path("a.yaml").write_text("# a comment\nx: part.yaml")
    assert fingerprint(rows(path)[0].trials[0]) == first
    Path("part.yaml").write_text("y: 2")
    assert fingerprint(rows(path)[0].trials[0]) != first
    Path("part.yaml").write_text("y: 1")
    assert (
        fingerprint(rows(write(name="t", common={"options": {"model.z": "part.yaml"}}))[0].trials[0]) == first
    )
    assert fingerprint(rows(path, {"lr": 1})[0].trials[0]) != first
