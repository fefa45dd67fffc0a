"""The config of a fine-tuning run: plan and recipe as YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from onepeace_pl.errors import UserError
from onepeace_pl.finetuning.config_text import config_text
from onepeace_pl.finetuning.guesses import Guesses
from onepeace_pl.finetuning.init_model import InitModel
from onepeace_pl.finetuning.plan import Plan, Request
from onepeace_pl.finetuning.recipe import Recipe
from onepeace_pl.utils.json_files import JsonObject

BASE: Final = "parts/finetune"  # a shipped config
LOG_EVERY: Final = 10  # updates, there
SECTIONS: Final = ("trainer", "model", "data", "seed_everything")


def make_processors(
    plan: Plan, model: InitModel, size: int | None, guesses: Guesses
) -> dict[str, JsonObject]:
    """Return class and options of the processor of each modality: the model's, but for what the plan changes.

    Args:
        plan: Task and data.
        model: The model to start from.
        size: Side of images in pixels; None for the model's.
        guesses: Takes in the size.
    """
    made = {}
    for name in plan.modalities:
        changes = dict(plan.processors.get(name, {}))
        if name == "image" and model.size is not None and "class_path" not in changes:
            changes["size"] = size or model.size
            reason = "--size" if size else "the model's preprocessing"
            guesses.add("image size", f"{changes['size']} px", reason, "" if size else "--size")
        if name == "audio" and "class_path" not in changes:
            changes |= {"resample": True, "silence": "keep"}
        made[name] = changes if "class_path" in changes else model.processor_spec(name, **changes)
    return made


def make_config(
    plan: Plan,
    recipe: Recipe,
    model: InitModel,
    processors: Mapping[str, JsonObject],
    name: str,
    request: Request,
    seed: int,
    on_error: str,
    stage: object = None,
) -> JsonObject:
    """Return the config of a run.

    Args:
        plan: Task and data.
        recipe: Options of training.
        model: The model to start from.
        processors: Class and options of the processor of each modality.
        name: Name of the validation set.
        request: What the command line asks for.
        seed: Seed of the run.
        on_error: Handling of rows that cannot be prepared.
        stage: What is trained; None for everything.
    """
    trainer: JsonObject = {"accelerator": "gpu" if recipe.gpu else "cpu"}
    if recipe.gpu:
        trainer["precision"] = "bf16-mixed"
    if recipe.epochs is None:
        trainer |= {"max_steps": recipe.updates, "max_epochs": -1, "val_check_interval": recipe.every}
        trainer["check_val_every_n_epoch"] = None
    else:
        trainer |= {"max_epochs": recipe.epochs, "check_val_every_n_epoch": recipe.every}
    if recipe.an_epoch < LOG_EVERY:
        trainer["log_every_n_steps"] = recipe.an_epoch
    data: JsonObject = {
        "processors": dict(processors),
        "train": plan.rows.train,
        "validation": {name: plan.rows.validation},
    }
    if plan.rows.test is not None:
        data["test"] = {name: plan.rows.test}
    if plan.transform is not None:
        data["transform"] = plan.transform
    data |= {"batch_size": recipe.batch_size, "num_workers": recipe.num_workers}
    if on_error != "raise":
        data["on_error"] = on_error
    experiment: JsonObject = {
        "init_from": str(model.folder),
        "backbone": model.backbone_spec(plan.modalities, plan.image_size or request.size, stage),
        "task": plan.task,
        "optimizer": {"lr": recipe.lr},
    }
    if model.has_head:
        experiment["new_head"] = True
    if recipe.layer_decay < 1:
        experiment["layer_decay"] = recipe.layer_decay
    return {
        "config": BASE,
        "seed_everything": seed,
        "trainer": trainer,
        "model": experiment,
        "data": {"class_path": plan.data_module, "init_args": data},
    }


def describe(config: JsonObject, guesses: Guesses, header: Sequence[str]) -> str:
    """Return the config as YAML, with reasons of guesses as comments."""
    reasons = {guess.name: guess.reason for guess in guesses}
    places = {
        "config": "configs show parts/finetune",
        "trainer.max_epochs": reasons.get("epochs"),
        "trainer.max_steps": reasons.get("updates"),
        "model.optimizer": reasons.get("learning rate"),
        "model.new_head": "the model's head is of another task, or of other classes",
        "data.init_args.batch_size": reasons.get("batch size"),
    }
    return config_text(config, {key: text for key, text in places.items() if text}, list(header))


def override(config: JsonObject, words: Sequence[str]) -> list[str]:
    """Set options of the command line, such as ``--trainer.max_steps 100``, in a config.

    Args:
        config: The config, changed in place.
        words: The options.

    Returns:
        Those that are no options of a config, such as ``--ckpt_path last``.

    Raises:
        UserError: A word belongs to no option.
    """
    rest: list[str] = []
    at = 0
    while at < len(words):
        option, equals, value = words[at].partition("=")
        at += 1
        if not option.startswith("-"):
            raise UserError(f"'{option}' belongs to no option; see finetune --help")
        taken = [value] if equals else []
        while not equals and at < len(words) and not words[at].startswith("--"):
            taken.append(words[at])
            at += 1
        steps = option.removeprefix("--").split(".")
        if steps[0] not in SECTIONS:
            rest += [words[at - 1]] if equals else [option, *taken]
            continue
        if len(taken) != 1:
            raise UserError(f"{option} takes one value, not {len(taken)}")
        _set(config, steps, parsed(taken[0]))
    return rest


def _set(node: JsonObject, steps: Sequence[str], value: object) -> None:
    """Set a value at dotted steps, which may leave ``init_args`` out."""
    step, *more = steps
    options = node.setdefault("init_args", {}) if "class_path" in node and step != "class_path" else node
    if step == "init_args" and options is not node:
        _set(node, more, value)
    elif not more:
        if step.endswith("+") and not isinstance(value, list):
            value = [*options.get(step, []), {"class_path": value} if isinstance(value, str) else value]
        options[step] = value
    elif step not in options and f"{step}+" in options:  # an option of the class added last
        _set(options[f"{step}+"][-1], more, value)
    else:
        inner = options.get(step)
        if not isinstance(inner, dict):
            inner = options[step] = {} if inner is None else {"class_path": inner}
        _set(inner, more, value)


def parsed(text: str) -> object:
    """Return the value of an option: YAML, or the file of a part of a config."""
    if text.endswith((".yaml", ".yml")) and Path(text).is_file():
        return str(Path(text).absolute())
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
