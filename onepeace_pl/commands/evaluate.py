"""Evaluate a model folder on your own rows by retrieval, in any direction.

evaluate FOLDER --data pairs.csv                                      all pairs of modalities, both ways
evaluate FOLDER --data pictures.tsv sounds.tsv --directions a2i at2i  tables are merged by their column id
evaluate FOLDER --data data.yaml --split test --to DIR                a source, or the data of a run

A direction is short (t text, i image, a audio: a2i, at2i) or long ('audio+text->image' in quotes, audio+text2image).
Columns named as a modality of the model are read: image, audio, text, or that of a plug-in. A query of a modality that
the target has, too, reads a column of its own: --columns image:reference=before --directions it2i.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onepeace_pl.cli.model_options import add_embedding_options, load_model
from onepeace_pl.errors import UserError

if TYPE_CHECKING:
    from onepeace_pl.cli.evaluated_rows import EvaluatedRows


def main(argv: Sequence[str]) -> int:
    """Evaluate, print a table, write a report; return the exit code."""
    options = _parser().parse_args(argv)
    for flag, value in (("batch-size", options.batch_size), ("limit", options.limit)):
        if value is not None and value < 1:
            raise UserError(f"--{flag} {value} must be at least 1")
    if options.num_workers < 0:
        raise UserError(f"--num-workers {options.num_workers} must be at least 0")
    folder = None if options.to is None else Path(options.to)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UserError(f"--to {folder} is a file; give a folder")

    from onepeace_pl.callbacks.evaluation import Evaluation
    from onepeace_pl.data.evaluation.directions import galleries
    from onepeace_pl.data.loading.skips import SkipLog
    from onepeace_pl.training.evaluation import evaluate_retrieval

    started = time.monotonic()
    model = load_model(options.folder, options)
    evaluation = Evaluation(options.folder, options.data, model.device, options.fuse, SkipLog())
    if folder is not None:
        evaluation.skips.path = folder / "skipped.tsv"
        evaluation.skips.path.unlink(missing_ok=True)
    for each in _rows(options, model.modalities):
        groups = None if options.groups is None else each.groups(options.groups)
        sets = galleries(each.name, each.rows, each.directions, groups, options.merge_duplicates)
        results = evaluate_retrieval(
            model,
            sets,
            fuse=options.fuse,
            batch_size=options.batch_size,
            num_workers=options.num_workers,
            limit=options.limit,
            on_error=options.on_error,
            resample=options.resample,
            skips=evaluation.skips,
        )
        evaluation.add(each.name, each.rows, each.fields, results)
    evaluation.seconds = time.monotonic() - started
    print(evaluation.text())
    if folder is not None:
        print("\nwrote", *evaluation.write(folder))
    return 0


def _rows(options: argparse.Namespace, modalities: Sequence[str]) -> "list[EvaluatedRows]":
    from onepeace_pl.cli.evaluated_rows import is_config, rows_of_config, rows_of_tables, table_options

    tables = table_options(options)
    if not is_config(options.data):
        return [rows_of_tables(options.data, options.directions, modalities, tables, options.groups)]
    return rows_of_config(options.data[0], options.directions, modalities, options.split)


def _parser() -> argparse.ArgumentParser:
    from onepeace_pl.cli.evaluated_rows import add_data_options

    parser = argparse.ArgumentParser(
        "evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="a model folder")
    rows = parser.add_argument_group("rows")
    add_data_options(rows)
    rows.add_argument(
        "--split",
        choices=("validation", "test", "train"),
        default="validation",
        help="rows of a config; default: validation",
    )
    rows.add_argument("--limit", type=int, metavar="N", help="evaluate the first N rows only")
    rows.add_argument(
        "--on-error",
        choices=("raise", "skip"),
        default="raise",
        help="rows that cannot be prepared: stop, or leave them out",
    )
    retrieval = parser.add_argument_group("retrieval")
    retrieval.add_argument(
        "--directions",
        nargs="+",
        metavar="A2B",
        help="such as a2i it2a 'audio+text->image'; default: all pairs of modalities, both ways",
    )
    retrieval.add_argument(
        "--fuse",
        choices=("sum", "joint", "default"),
        help="measure this vector of several modalities alone (default: what the model was trained for), without "
        "comparing sum, joint pass and each modality",
    )
    retrieval.add_argument(
        "--groups", metavar="COLUMN", help="also report recall by the queries' value in this column"
    )
    retrieval.add_argument(
        "--merge-duplicates",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="count items of equal content as one, or each",
    )
    retrieval.add_argument(
        "--to", metavar="FOLDER", help="write report.md, results.json and gallery.png there"
    )
    running = parser.add_argument_group("model")
    running.add_argument("--num-workers", type=int, default=0, help="processes that prepare rows")
    add_embedding_options(running)
    return parser
