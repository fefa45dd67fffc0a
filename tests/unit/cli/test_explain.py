"""Whatever a user mistypes ends in one line with file, key, culprit and the nearest name."""

from pathlib import Path

import pytest

from onepeace_pl.cli import main

LATER = [
    ("modle: {x: 1}", "later.yaml: this command has no option 'modle.x'; did you mean 'model'?"),
    (
        "trainer: {max_step: 3}",
        "later.yaml: this command has no option 'trainer.max_step'; did you mean 'trainer.max_steps'?",
    ),
    (
        "model: {backbone: {transformer: {dept: 3}}}",
        "no option 'transformer.dept'; did you mean 'transformer.depth'?",
    ),
    (
        "model: {backbone: {adapters: {image: {pach: 3}}}}",
        "toy.ImageAdapter has no option 'pach'; did you mean 'patch'?",
    ),
    (
        "model: {backbone: {adapters: {d: my_sensors.Dept}}}",
        "no 'Dept' in module my_sensors; did you mean 'Depth",
    ),
    (
        "model: {backbone: {adapters: {d: my_sensor.Depth}}}",
        "no module 'my_sensor'; is its folder on PYTHONPATH?",
    ),
    (
        "model: {backbone: {adapters: {image: {patch: big}}}}",
        "model.backbone.adapters.patch: expected int, got 'big'",
    ),
    ("model: {backbone: nothing.yaml}", "later.yaml: model.backbone: 'nothing.yaml' is no file"),
    ("config: later.yaml", "config files name each other"),
    ("config: nothing.yaml", "nothing.yaml"),
    ("model: {optimizer: {lr: fast}}", "later.yaml: model.optimizer"),
    ("data: {clases: [a]}", "later.yaml: data"),
    ("a: [", "later.yaml"),
    (
        "trainer: {strategy: {class_path: lightning.pytorch.strategies.DDPStrategy, init_args: {tmeout: 3}}}",
        "lightning.pytorch.strategies.DDPStrategy has no option 'tmeout'; did you mean 'timeout'?",
    ),
    (
        "trainer: {strategy: {class_path: lightning.pytorch.strategies.FSDPStrategy, "
        "init_args: {auto_wrap_policy: [toy.Blok]}}}",
        "later.yaml: trainer.strategy.auto_wrap_policy: no 'Blok' in module toy",
    ),
    ("trainer: {max_epochs: many}", "later.yaml: trainer.max_epochs: expected int or null, got many"),
    ("trainer: {callbacks: [{class_path: lightning.pytorch.callbacks.Tmer}]}", "did you mean 'Timer'?"),
    ("trainer: {callbacks: [{class_path: toy.Strike, init_args: {number: 3}}]}", "required: step"),
]


def complain(capsys, *words):
    assert main(["fit", *map(str, words)]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert "\n" not in error
    return error


@pytest.mark.parametrize(("later", "line"), LATER)
def test_errors_are_one_line(capsys, classify, later, line):
    Path("later.yaml").write_text(later)
    assert line in complain(capsys, "-c", classify, "-c", "later.yaml")


def test_flags_too(capsys, classify):
    assert "did you mean 'trainer.max_steps'?" in complain(capsys, "-c", classify, "--trainer.max_step=3")
    assert "no option" in complain(capsys, "-c", classify, "--model.backbone.transformer.dept=3")
    assert "nothing.yaml" in complain(capsys, "-c", "nothing.yaml")
    said = f"'{classify}' stands behind no option; did you mean --config {classify}?"
    assert complain(capsys, classify) == f"error: {said}"
    assert "did you mean --ckpt_path last.ckpt?" in complain(capsys, "-c", classify, "last.ckpt")
    assert "required: classes" in complain(capsys, "--data=toy.RandomData")


def test_the_file_that_holds_the_mistake_is_named(capsys):
    Path("parts").mkdir()
    Path("parts/adapters.yaml").write_text("image: {class_path: toy.ImageAdapter, init_args: {pach: 3}}")
    Path("parts/backbone.yaml").write_text("class_path: toy.Backbone\ninit_args: {adapters: adapters.yaml}")
    Path("parts/trainer.yaml").write_text("max_step: 3")
    Path("one.yaml").write_text("model: {backbone: parts/backbone.yaml}")
    Path("two.yaml").write_text("trainer: parts/trainer.yaml")
    assert complain(capsys, "-c", "one.yaml").startswith(
        "error: parts/adapters.yaml: model.backbone.adapters: toy.Im"
    )
    assert complain(capsys, "-c", "two.yaml").startswith("error: parts/trainer.yaml: ")


def test_a_part_that_code_supplies_is_no_option(capsys, classify):
    Path("later.yaml").write_text("model: {backbone: {adapters: {image: {sizes: 3}}}}")
    assert "has no option 'sizes'" in complain(capsys, "-c", classify, "-c", "later.yaml")
