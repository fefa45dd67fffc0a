"""How files and flags compose, through the real command line."""

from pathlib import Path

import pytest
import yaml

from onepeace_pl.cli import main


def write(text, name="later.yaml"):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return name


def patches(config):
    made = config["model"]["backbone"]["init_args"]["adapters"]
    return {name: spec.get("init_args", {}).get("patch") for name, spec in made.items()}


def test_files_refer_to_files_and_later_ones_win(resolve, classify):
    later = "model: {backbone: {transformer: {depth: 5, heads: 4}}, task: {dropout: 0.3}}"
    later += "\ntrainer: {max_steps: 9}"
    flags = "--model.backbone.init_args.transformer.depth", 2, "--data.batch_size=2"
    config = resolve("-c", classify, "-c", write(later), *flags)
    assert config["model"]["backbone"]["init_args"]["transformer"] == {"width": 16, "depth": 2, "heads": 4}
    assert config["model"]["task"]["init_args"]["dropout"] == 0.3
    assert (config["trainer"]["max_steps"], config["trainer"]["limit_val_batches"]) == (9, 2)
    assert config["data"]["init_args"] == {"classes": ["cat", "dog", "owl"], "size": 8, "batch_size": 2}


def test_a_file_starts_from_one_that_starts_from_another(resolve, classify):
    """Options of a class that the first file alone names may stand in each of those that follow."""
    write(f"config: {classify}\ndata: {{batch_size: 3}}\ntrainer: {{max_steps: 9}}", "second.yaml")
    third = write("config: second.yaml\nmodel: {task: {dropout: 0.3}}\ntrainer: {max_steps: 7}", "third.yaml")
    config = resolve("-c", third)
    assert config["data"]["init_args"]["batch_size"] == 3
    assert config["model"]["task"]["init_args"]["dropout"] == 0.3
    assert config["trainer"]["max_steps"] == 7


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-c", "DEPTH"], {"image": 4, "text": None, "depth": 4}),
        (["--model.backbone.adapters.depth=my_sensors.DepthAdapter"], {"image": 4, "text": None, "depth": 2}),
        (["-c", "DEPTH", "--model.backbone.adapters.depth.patch=8"], {"image": 4, "text": None, "depth": 8}),
        (["--model.backbone.adapters.image.patch=8", "-c", "DEPTH"], {"image": 8, "text": None, "depth": 4}),
    ],
)
def test_adapters_add_up(resolve, classify, depth, words, expected):
    words = [depth if word == "DEPTH" else word for word in words]
    assert patches(resolve("-c", classify, *words)) == expected


def test_one_adapter_changes_and_one_goes(resolve, classify):
    later = write("model: {backbone: {adapters: {image: {patch: 2}, text: toy.Off}}}")
    config = resolve("-c", classify, "-c", later)
    assert patches(config) == {"image": 2, "text": None}
    assert config["model"]["backbone"]["init_args"]["adapters"]["text"]["class_path"] == "toy.Off"


def test_taking_an_adapter_out_is_no_loss(classify, capsys):
    words = "--model.backbone.adapters.image=toy.Off", "--model.task.modality=text", "--trainer.max_steps=1"
    assert main(["fit", "-c", str(classify), *words]) == 0
    assert "note:" not in capsys.readouterr().err


def test_a_flag_replaces_the_whole_mapping(resolve, classify):
    config = resolve("-c", classify, "--model.backbone.adapters", "{image: {class_path: toy.ImageAdapter}}")
    assert list(config["model"]["backbone"]["init_args"]["adapters"]) == ["image"]


def test_file_starts_from_others_and_tasks_add_up_too(resolve, configs):
    config = resolve("-c", configs / "experiment/depth_by_turns.yaml")
    assert patches(config) == {"image": 4, "text": None, "depth": 4}
    assert config["model"]["backbone"]["init_args"]["stage"] == "depth"
    assert list(config["model"]["task"]["init_args"]["tasks"]) == ["picture", "words", "depth"]
    assert resolve("-c", write(yaml.safe_dump(config))) == config  # --print_config round trip
    assert main(["fit", "-c", "later.yaml"]) == 0


def test_a_file_named_by_a_flag_is_seen_from_the_working_directory(resolve, classify):
    write("class_path: toy.Backbone\ninit_args: {adapters: parts/adapters.yaml}", "mine/other.yaml")
    write("image: {class_path: toy.ImageAdapter, init_args: {patch: 2}}", "mine/parts/adapters.yaml")
    config = resolve("-c", classify, "--model.backbone", "mine/other.yaml")
    assert patches(config)["image"] == 2


def test_lists_are_replaced_or_extended(resolve, classify):
    monitor = "lightning.pytorch.callbacks.LearningRateMonitor"
    first = write(f"trainer: {{callbacks: [{{class_path: {monitor}}}]}}", "first.yaml")
    more = write(f"trainer: {{callbacks+: [{{class_path: {monitor}}}]}}", "more.yaml")
    assert len(resolve("-c", classify, "-c", first, "-c", more)["trainer"]["callbacks"]) == 2
    assert len(resolve("-c", classify, "-c", first, "-c", first)["trainer"]["callbacks"]) == 1


def test_a_swapped_class_keeps_what_it_accepts_and_prints_the_rest(classify, capsys):
    later = write("model: {optimizer: {class_path: torch.optim.SGD}}")
    before = write("model: {optimizer: {betas: [0.9, 0.98], weight_decay: 0.05}}", "before.yaml")
    assert main(["fit", "-c", str(classify), "-c", before, "-c", later, "--trainer.max_steps=1"]) == 0
    saved = yaml.safe_load(Path("runs/classify/config.yaml").read_text())["model"]["optimizer"]
    assert saved["class_path"] == "torch.optim.SGD"
    assert (saved["init_args"]["lr"], saved["init_args"]["weight_decay"]) == (0.01, 0.05)
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    expected = (
        "before.yaml: model.optimizer.betas is dropped: torch.optim.SGD, chosen later, does not take it"
    )
    assert notes == [f"note: {expected}"]


def test_a_class_swapped_by_a_flag_prints_what_it_drops(classify, capsys):
    assert (
        main(["fit", "-c", str(classify), "--model.optimizer=torch.optim.Rprop", "--trainer.max_steps=1"])
        == 0
    )
    assert "note:" not in capsys.readouterr().err  # lr is kept
    words = "--model.task=toy.MultiTask", "--model.task.tasks={only: {class_path: toy.Classification}}"
    assert main(["fit", "-c", str(classify), *words, "--trainer.max_steps=1"]) == 0
    assert "task/classify.yaml: model.task.dropout is dropped: toy.MultiTask" in capsys.readouterr().err
