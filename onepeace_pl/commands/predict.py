"""Write the predictions of a trained task for new files.

predict runs/pets photos/                         folders, files, patterns such as 'photos/*.jpg'
predict runs/pets photos/ --to pets.csv --top-k 3 --plots drawn
predict runs/questions a.jpg --text "what colour is it?"
predict --config FILE --ckpt_path FILE            the evaluation sets of a config, with the Trainer
                                                  (predict --config FILE --help tells its options)

Files need no labels and no config: class names, preprocessing and head are those of the run.
"""

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from onepeace_pl.cli.endings import add_endings_option, parse_endings
from onepeace_pl.cli.model_options import add_resample_option, add_trust_option, add_weights_option
from onepeace_pl.errors import UserError
from onepeace_pl.utils.files import replacing

if TYPE_CHECKING:
    from onepeace_pl.data.source import Row
    from onepeace_pl.prediction import Predictor
    from onepeace_pl.results import Result


def main(argv: Sequence[str]) -> int:
    """Predict files, print or write results; return the exit code."""
    options = _parser().parse_args(argv)
    target = None if options.to is None else Path(options.to)
    if not options.files and not options.text:
        raise UserError("nothing to predict; give files, folders or patterns, or --text")

    from onepeace_pl.data.loading.skips import SkipLog
    from onepeace_pl.prediction import Predictor
    from onepeace_pl.prediction.writing import check_format

    if target is not None:
        check_format(target)
    predictor = Predictor.from_pretrained(
        options.run,
        options.device,
        task=options.task,
        resample=options.resample,
        trust_remote_code=options.trust,
        weights=options.weights,
    )
    rows = _rows(options, predictor)
    skips = SkipLog()
    results = predictor.predict(
        rows,
        top_k=options.top_k,
        threshold=options.threshold,
        batch_size=options.batch_size,
        num_workers=options.num_workers,
        on_error=options.on_error,
        skips=skips,
        progress=target is not None,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="skipped row")  # all are named at the end
        count = _write(results, predictor, target, None if options.plots is None else Path(options.plots))
    if skips.count:
        print(f"skipped {skips.count} of {len(rows)}:", *skips.reasons, sep="\n  ", file=sys.stderr)
    if target is not None:
        print(f"wrote {target}: {count} of {len(rows)}")
    if options.plots is not None:
        print(f"drawings: {options.plots}")
    return 0


def _rows(options: argparse.Namespace, predictor: "Predictor") -> "list[Row]":
    """Return a row for each file, or for each text."""
    from onepeace_pl.prediction.files import file_rows, find_files, text_rows

    modalities = predictor.modalities
    found = find_files(options.files, modalities, parse_endings(options.endings))
    if options.text and "text" not in modalities:
        raise UserError(f"--text: {options.run} reads {', '.join(modalities)} and no text; leave it out")
    if modalities == ("text",):
        return text_rows(found.get("text", ()), options.text)
    given = (
        {"text": tuple(options.text) if len(options.text) > 1 else options.text[0]} if options.text else {}
    )
    missing = [name for name in modalities if name not in given and name not in found]
    if missing:
        how = "--text TEXT" if missing[0] == "text" else "files of it"
        raise UserError(
            f"{options.run} reads {' and '.join(modalities)}, and there is no {missing[0]}; add {how}"
        )
    (field, *others) = [name for name in modalities if name not in given]
    if others:
        raise UserError(
            f"{options.run} reads {' and '.join(modalities)}; use Predictor in Python, which takes lists of each"
        )
    count = predictor.task.needs.values[field].minimum if field in predictor.task.needs.values else 1
    return file_rows(found[field], field, count, given)


def _write(
    results: "Iterator[Result]", predictor: "Predictor", target: Path | None, plots: Path | None
) -> int:
    """Write results as they come, or print them; return their number."""
    from onepeace_pl.prediction.writing import make_writer

    count, drawn = 0, set[str]()
    with ExitStack() as until_end:
        writer = None
        if target is not None:
            new = until_end.enter_context(replacing(target))
            file = until_end.enter_context(new.open("w", newline="", encoding="utf-8"))
            writer = make_writer(target, file, predictor.task)
        for result in results:
            count += 1
            if plots is not None:
                with replacing(plots / _drawing_name(result.id, drawn)) as new:
                    result.plot().save(new, format="png")
            if writer is None:
                print(f"{result.id}: {result}")
            else:
                writer.add(result)
        if writer is not None:
            writer.finish()
    return count


def _drawing_name(identity: str, taken: set[str]) -> str:
    """Return the name of a drawing's file: folders with dashes, and the input's ending where two would be equal."""
    whole = identity.strip("./").replace("/", "-")
    name = f"{Path(whole).stem}.png"
    if name in taken:
        name = f"{whole}.png"
    taken.add(name)
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="folder of a run (runs/NAME), or its model folder (runs/NAME/model)")
    parser.add_argument("files", nargs="*", help="files, folders, patterns; a line of a .txt file is a text")
    parser.add_argument(
        "--text",
        nargs="+",
        default=[],
        metavar="TEXT",
        help="texts; beside files the question or phrase for each",
    )
    parser.add_argument(
        "--to", metavar="FILE", help="write a .csv, .jsonl or .json file (detection: COCO's format)"
    )
    parser.add_argument("--plots", metavar="FOLDER", help="write drawings there")
    parser.add_argument(
        "--top-k", type=int, metavar="K", help="classes of a result; default: the task's `top`"
    )
    parser.add_argument(
        "--threshold", type=float, metavar="P", help="least score of an object, or probability of a class"
    )
    parser.add_argument("--task", metavar="NAME", help="a task of a run of several")
    parser.add_argument(
        "--on-error",
        choices=("raise", "skip"),
        default="raise",
        help="files that cannot be read: stop, or leave them out and name them at the end",
    )
    add_resample_option(parser)
    add_endings_option(parser)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--num-workers", type=int, default=0, help="processes that prepare files")
    parser.add_argument("--device", help="default: a GPU if available")
    add_weights_option(parser)
    add_trust_option(parser)
    return parser
