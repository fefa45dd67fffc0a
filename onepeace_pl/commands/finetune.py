"""Fine-tune a model folder on your data: guesses a config, writes it and trains.

finetune classification --data pets --init runs/quickstart/model         a folder for each class
finetune classification --data pets.csv --init MODEL --config-only        writes pets_classification.yaml and stops
finetune retrieval --data pairs.csv --init MODEL --epochs 10 --lr 1e-4    images or sounds and captions

Tasks: TASKS. MODEL is a model folder, a run folder or owner/name on the Hugging Face Hub. Each guess is printed with
its reason. `fit --config FILE` trains with the config again. Options of `fit` are written into it, too:
--trainer.precision 16-mixed.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from onepeace_pl.cli.endings import add_endings_option, parse_endings
from onepeace_pl.errors import UserError, nearest

if TYPE_CHECKING:
    from onepeace_pl.finetuning.guesses import Guesses
    from onepeace_pl.finetuning.plan import Plan

TASKS: Final = ("classification", "retrieval", "detection", "segmentation", "grounding", "questions")


def main(argv: Sequence[str]) -> int:
    """Guess, write the config and train; return the exit code."""
    options, words = _parser().parse_known_args(argv)
    if options.task not in TASKS:
        raise UserError(f"no task '{options.task}'; {nearest(options.task, TASKS)}")
    for flag in ("batch_size", "epochs", "max_steps", "size"):
        if (value := getattr(options, flag)) is not None and value < 1:
            raise UserError(f"--{flag.replace('_', '-')} {value} must be at least 1")

    from onepeace_pl.cli import lightning, runs, stand_in
    from onepeace_pl.utils.ranks import is_first_rank

    draft = _guess(options, words)
    if is_first_rank():  # other processes of a run start with the same command
        print(*draft.guesses.lines(), sep="\n")
        _write(draft.file, draft.text)
    command = ["--config", str(draft.file), "--run", draft.run, *draft.rest]
    if options.config_only:
        stand_in.resolve(command)
        print(f"train: python -m onepeace_pl fit {' '.join(command)}")
        return 0
    lightning.run(["fit", *command, *(["--trust"] if options.trust else [])])
    if is_first_rank():
        folder = runs.run_folder(draft.run)
        new = f"embed {folder}/model" if options.task == "retrieval" else f"predict {folder} FILES"
        print(f"\nconfig: {draft.file}\nnew files: python -m onepeace_pl {new}")
    return 0


class _Draft(NamedTuple):
    """A config that is to be written: guesses, file, text, run, and options of ``fit`` that it does not hold."""

    guesses: "Guesses"
    file: Path
    text: str
    run: str
    rest: list[str]


def _guess(options: argparse.Namespace, words: list[str]) -> _Draft:
    """Guess the config."""
    from onepeace_pl.cli.evaluated_rows import parse_column
    from onepeace_pl.cli.lightning import announce_plugins
    from onepeace_pl.finetuning.checking import check_rows
    from onepeace_pl.finetuning.config import describe, make_config, make_processors, override, parsed
    from onepeace_pl.finetuning.guesses import Guesses
    from onepeace_pl.finetuning.init_model import InitModel
    from onepeace_pl.finetuning.parts import part_of
    from onepeace_pl.finetuning.plan import Request
    from onepeace_pl.finetuning.recipe import Given, make_recipe

    announce_plugins()
    guesses = Guesses()
    model = InitModel.read(options.init, options.tokenizer, options.trust)
    guesses.add("model", options.init, f"reads {', '.join(model.modalities)}")
    classes = None if options.classes is None else _classes(options.classes)
    columns = dict(map(parse_column, options.columns))
    endings = parse_endings(options.endings)
    request = Request(
        Path(options.data),
        model,
        guesses,
        options.val,
        classes,
        columns,
        options.root,
        options.modality,
        options.size,
        endings,
    )
    planner: Callable[[Request], Plan] = import_module(f"onepeace_pl.finetuning.{options.task}").plan
    plan = planner(request)
    processors = make_processors(plan, model, options.size, guesses)
    checked = check_rows(plan, processors, classes, options.on_error, guesses)
    stage = None if options.stage is None else parsed(options.stage)
    given = Given(
        options.batch_size, options.epochs, options.max_steps, options.lr, options.num_workers, stage
    )
    recipe = make_recipe(plan, model, checked.train, given, guesses)
    data = Path(options.data).resolve()
    named = data.parent if part_of(data.stem) else data  # world/train.csv is of world
    name = re.sub(r"[^\w-]+", "_", named.stem) or "data"
    run = options.run or f"{name}_{options.task}"
    config = make_config(
        plan, recipe, model, processors, name, request, options.seed, options.on_error, stage
    )
    rest = override(config, words)
    file = Path(options.to or f"{Path(run).name}.yaml")
    counts = f"{checked.train:,} training and {checked.validation:,} validation rows"
    header = [
        f"{plan.title} on {options.data}: {counts}{f', {len(checked.classes)} classes' if checked.classes else ''}.",
        f"python -m onepeace_pl fit --config {file} --run {run}",
    ]
    return _Draft(guesses, file, describe(config, guesses, header), run, rest)


def _write(file: Path, text: str) -> None:
    """Write the config; an older one of other content moves aside."""
    from onepeace_pl.cli import runs
    from onepeace_pl.utils.files import write_text

    if file.is_dir():
        raise UserError(f"--to {file} is a folder; give a file")
    if file.exists() and file.read_text(encoding="utf-8") != text:
        older = runs.first_free(file)
        file.rename(older)
        print(f"note: older config moved to {older}")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, text)
    print(f"wrote {file}\n")


def _classes(given: list[str]) -> tuple[str, ...]:
    """Return names of classes: given as they are, or by a file of them."""
    from onepeace_pl.data.datasets.class_names import read_classes

    is_file = len(given) == 1 and Path(given[0]).is_file()
    return read_classes(given[0] if is_file else given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "finetune",
        description=(__doc__ or "").replace("TASKS", ", ".join(TASKS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("task", help=", ".join(TASKS))
    parser.add_argument("--data", required=True, metavar="PATH", help="folder or table")
    parser.add_argument(
        "--init", required=True, metavar="MODEL", help="model folder, run folder or owner/name on the Hub"
    )
    parser.add_argument("--config-only", action="store_true", help="write the config and stop")
    data = parser.add_argument_group("data")
    data.add_argument(
        "--val",
        metavar="PATH|SHARE",
        help="validation data, or their share of the rows; default: a val part, or 0.2",
    )
    data.add_argument(
        "--classes", nargs="+", metavar="NAME", help="names of the classes in their order, or a file"
    )
    data.add_argument(
        "--columns",
        nargs="+",
        metavar="FIELD=COLUMN",
        default=[],
        help="columns of a table: image=photo class=kind",
    )
    add_endings_option(data)
    data.add_argument("--root", metavar="FOLDER", help="start of media paths of a table; default: found")
    data.add_argument("--modality", help="modality of the rows, or that beside text; default: found")
    data.add_argument("--size", type=int, metavar="PIXELS", help="side of images; default: the model's")
    data.add_argument(
        "--on-error",
        choices=("raise", "skip"),
        default="raise",
        help="rows that cannot be read: stop, or skip them",
    )
    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=int)
    training.add_argument("--max-steps", type=int, metavar="N", help="updates, in place of epochs")
    training.add_argument("--batch-size", type=int)
    training.add_argument("--lr", type=float, help="peak learning rate")
    training.add_argument(
        "--stage", help="what is trained: vision_language (everything), frozen, '{last: 4}', '{lora: 8}'"
    )
    training.add_argument("--num-workers", type=int, help="processes that prepare rows")
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--run", metavar="NAME", help="run folder: a name under runs/, or a path")
    training.add_argument("--to", metavar="FILE", help="the config; default: the run's name and .yaml")
    training.add_argument("--tokenizer", metavar="PATH", help="tokenizer of a model folder without one")
    training.add_argument(
        "--trust", action="store_true", help="import classes of other packages that the model folder names"
    )
    return parser
