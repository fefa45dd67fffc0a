"""Tasks of model folders: the head with the class and options that it was trained with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeAlias

from onepeace_pl.backbone import Backbone
from onepeace_pl.checkpoints.folder import TASK
from onepeace_pl.checkpoints.head import head_of_folder, load_head
from onepeace_pl.checkpoints.loading import CONFIG
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.errors import UserError
from onepeace_pl.training.multitask import MultiTask
from onepeace_pl.training.task import Task
from onepeace_pl.utils.json_files import JsonObject
from onepeace_pl.utils.known_classes import denied, known_classes
from onepeace_pl.utils.trust import HOW

TaskFactory: TypeAlias = Callable[[Backbone, DataInfo], Task]
MODEL = "model"
UNKNOWN: JsonObject = {}


def model_folder(path: str | Path) -> Path:
    """Return the model folder of a run, or a model folder itself.

    Raises:
        UserError: It is neither.
    """
    path = Path(path)
    for folder in (path / MODEL, path):
        if (folder / CONFIG).is_file():
            return folder
    what = "holds no run" if path.is_dir() else "is no folder"
    raise UserError(
        f"'{path}' {what}: give the folder of a finished run (runs/NAME), or its model folder (runs/NAME/{MODEL})"
    )


def load_task(
    folder: Path,
    backbone: Backbone,
    make_task: TaskFactory | None = None,
    member: str | None = None,
    trust: bool = False,
) -> tuple[Task, JsonObject]:
    """Make the task of a model folder and load its head.

    Args:
        folder: The model folder.
        backbone: Its backbone.
        make_task: Makes the task; None takes class and options of the folder.
        member: Task of a run of several.
        trust: Import the task's classes whatever their module.

    Returns:
        The task in evaluation mode, and its config.

    Raises:
        UserError: The folder has no head, or one that its config does not describe; or a class is not trusted.
    """
    head = head_of_folder(folder)
    if not head.state:
        raise UserError(
            f"{folder} has no task head: its model was trained for embeddings (pretraining, retrieval), or converted. "
            "Embed files with OnePeace.from_pretrained(...).encode, or with `python -m onepeace_pl embed`"
        )
    if "class_path" not in head.config or "data_info" not in head.config:
        raise UserError(f"{folder / TASK} is missing or incomplete; copy the whole model folder of the run")
    if make_task is None:
        make_task = _factory(folder / TASK, head.config, trust)
    data_info = DataInfo.from_config(head.config["data_info"])
    task = make_task(backbone, data_info)
    line = load_head(task, folder, data_info=data_info)
    if line.startswith("head: new"):
        raise UserError(f"{folder / TASK} describes another task than that of the head ({line})")
    return _member(task, member, folder).eval(), head.config


def load_transform(
    folder: Path, config: JsonObject, member: str | None = None, trust: bool = False
) -> JointTransform | None:
    """Return the joint transform of a task's data; None where it has none.

    Args:
        folder: The model folder.
        config: The task's config.
        member: Task of a run of several.
        trust: Import the transforms' classes whatever their module.

    Raises:
        UserError: The config does not say.
    """
    spec = config.get("transforms", {}).get(member, config.get("transform", UNKNOWN))
    if spec == UNKNOWN:
        raise UserError(
            f"{folder / TASK} does not say how images are resized (a run made in Python, of an older version, or a "
            "transform that keeps no options); pass transform=JointTransform(evaluation=[...]) as in training"
        )
    if spec is None:
        return None
    made: JointTransform = _made(folder / TASK, JointTransform, spec, trust)
    return made


def _factory(path: Path, config: JsonObject, trust: bool) -> TaskFactory:
    """Return the factory that a config describes, as the parser of a run makes it."""
    if "init_args" not in config:
        raise UserError(
            f"{path} has no options of {config['class_path']}, since the run was made in Python; pass "
            "make_task=partial(TASK, OPTIONS) as in training"
        )
    spec = {"class_path": config["class_path"], "init_args": config["init_args"]}
    made: TaskFactory = _made(path, TaskFactory, spec, trust)
    return made


def _made(path: Path, kind: object, spec: JsonObject, trust: bool) -> Any:
    """Make what a class path and its options describe; untrusted ones are those of a config beside a checkpoint."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--made", type=kind)
    imported = {name for name in map(_module, _class_paths(spec)) if name in sys.modules}
    with nullcontext() if trust else known_classes(imported - {"__main__"}):
        try:
            return parser.instantiate_classes(parser.parse_object({"made": spec})).made
        except Exception as error:  # a config in a file can be wrong in any way
            if denied(str(error)) is not None:
                foreign = (
                    f"{spec['class_path']}, or a class in its options, is none of onepeace_pl or of a plug-in"
                )
                raise UserError(f"{path}: {foreign}; {HOW}") from None
            reason = str(error).strip().splitlines()[-1].strip()  # the lines before it say where
            raise UserError(f"{path}: {spec['class_path']}: {reason}") from error


def _class_paths(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from [str(inner)] if name == "class_path" else _class_paths(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _class_paths(inner)


def _module(class_path: str) -> str:
    return class_path.rpartition(".")[0]


def _member(task: Task, name: str | None, folder: Path) -> Task:
    """Return the task of that name, where there are several."""
    if not isinstance(task, MultiTask):
        if name is not None:
            raise UserError(f"{folder} has one task, {type(task).__name__}; leave task={name!r} out")
        return task
    if name not in task.members:
        raise UserError(
            f"{folder} has several tasks; choose one: task={' or '.join(map(repr, task.members))}"
        )
    return task.members[name]
