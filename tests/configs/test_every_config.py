"""Every shipped config: a purpose in its first line, resolved by the real parser, built without memory."""

import re
from pathlib import Path

import pytest
import yaml

from onepeace_pl.cli import main
from onepeace_pl.cli.catalogue import describes_run, purpose
from onepeace_pl.cli.lightning import default_experiment
from onepeace_pl.cli.merge import family
from onepeace_pl.cli.shipped import shipped
from onepeace_pl.cli.stand_in import StandIn, build, resolve

ROOT = shipped()
FILES = sorted(ROOT.rglob("*.yaml"))
READ_BACK: set[str] = set()
RUNS = [path for path in FILES if describes_run(path)]
TRAINERS = sorted((ROOT / "parts/trainer").glob("*.yaml"))
BACKBONES = sorted((ROOT / "parts/backbone").glob("*.yaml"))


# of the paper, but trained outside its released trainer, with the usual Adam
USUAL_ADAM = ("imagenet", "imagenet21k", "kinetics400", "coco_stuff", "ade20k", "coco_detection")


def name(path):
    return str(path.relative_to(ROOT))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Paths in a config are seen from its own folder, so the working directory must not matter."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_first_line_is_a_description(path):
    assert purpose(path)


@pytest.mark.parametrize("path", RUNS, ids=name)
def test_run_is_built(path):
    """And reads back what it prints, where it has a class that no run before it had."""
    run = StandIn(default_experiment(), ["-c", str(path), "--run=same"], build=True)
    first = run.resolved()
    printed = yaml.safe_dump(first)
    classes = set(re.findall(r"class_path: (\S+)", printed))
    if not classes <= READ_BACK:
        READ_BACK.update(classes)
        reads_back(first, printed)
    assert first["trainer"]["use_distributed_sampler"] is False  # the data module's sampler knows the ranks
    if path.parent.name == "paper" or path.stem.startswith("paper_"):
        before = first["model"]["optimizer"]["init_args"]["eps_before_bias_correction"]
        assert before is (path.stem not in USUAL_ADAM)
    model = run.built()
    assert all(parameter.is_meta for parameter in model.parameters())
    assert any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("path", RUNS, ids=name)
def test_run_reads_back_what_it_prints(path):
    first = resolve(["-c", str(path), "--run=same"])
    reads_back(first, yaml.safe_dump(first))


def reads_back(config, printed):
    Path("printed.yaml").write_text(printed)
    assert resolve(["-c", "printed.yaml"]) == config


RUN = ["-c", str(ROOT / "quickstart.yaml")]


@pytest.mark.parametrize("path", TRAINERS, ids=name)
def test_trainer_fits_a_run(path):
    from lightning.pytorch.strategies import Strategy

    cli = StandIn(default_experiment(), [*RUN, "--trainer", str(path)], build=True)
    assert cli.resolved()["trainer"]["use_distributed_sampler"] is False
    strategy = cli.config_init.fit.trainer.strategy
    assert strategy == "auto" or isinstance(strategy, Strategy)


@pytest.mark.parametrize("path", BACKBONES, ids=name)
def test_backbone_is_its_preset(path, tmp_path):
    import torch

    from onepeace_pl.backbone import from_preset

    preset, _, added = path.stem.partition("_")
    pair = ["text", added or "image"]
    task = {
        "class_path": "onepeace_pl.tasks.pretraining.Pretraining",
        "init_args": {"pair": pair, "denoising": "none"},
    }
    run = {
        "model": {"backbone": str(path), "task": task},
        "data": str(ROOT / "parts/data/triworld_vision.yaml"),
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    model, _ = build(["-c", "run.yaml"])
    with torch.device("meta"):
        expected = from_preset(preset, model.backbone.modalities)
    assert shapes(model.backbone) == shapes(expected)


def test_released_size(tmp_path):
    (tmp_path / "released.yaml").write_text(
        f"config: {ROOT}/quickstart.yaml\n"
        f"model: {{backbone: {ROOT}/parts/backbone/4b.yaml, task: {{denoising: none}}}}\n"
    )
    audio = f"--model.backbone.adapters.audio={ROOT}/parts/modality/audio.yaml"
    model, _ = build(["-c", "released.yaml", audio, "--model.backbone.decoder.depth=0"])
    assert sum(parameter.numel() for parameter in model.backbone.parameters()) == 3_884_740_545


def test_check_agrees(capsys):
    """Of a few; that each run is built is tested above."""
    few = [path for path in RUNS if path.stem in ("quickstart", "esc50")]  # with data, and without
    assert main(["configs", "check", *map(str, few)]) == 0
    assert f"{len(few)} of {len(few)}" in capsys.readouterr().out


def test_every_file_is_a_run_or_a_part_of_one():
    """A file that no run mentions is one of those that a user chooses from."""
    used = {file for run in RUNS for file in family(run)}
    choices = (ROOT / "parts", ROOT / "sweep")
    assert not [name(f) for f in FILES if f.resolve() not in used and not {*f.parents} & {*choices}]


def test_parts_are_no_runs():
    assert not [name(f) for f in RUNS if ROOT / "parts" in f.parents]


def shapes(module):
    return {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
