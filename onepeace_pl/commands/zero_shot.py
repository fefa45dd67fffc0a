"""Classify files by labels that are named in words, without training.

zero-shot FOLDER *.png --labels bell drum clock --prompts "a picture of a {}" "a {}"
zero-shot FOLDER *.flac --labels bell drum --prompts "the sound of a {}" --to results.csv
zero-shot FOLDER "ding dong" --modality text --labels bell drum
"""

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onepeace_pl.cli.model_options import add_embedding_options, load_model
from onepeace_pl.errors import UserError
from onepeace_pl.utils.files import replacing

if TYPE_CHECKING:
    from onepeace_pl.hub import ZeroShotResult

ENDINGS = (".csv", ".jsonl")


def main(argv: Sequence[str]) -> int:
    """Classify, print the likeliest labels, write probabilities; return the exit code."""
    parser = argparse.ArgumentParser(
        "zero-shot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="a model folder")
    parser.add_argument("items", nargs="+", metavar="FILE", help="files of one modality; texts as they are")
    parser.add_argument("--labels", nargs="+", required=True, help="names of the classes")
    parser.add_argument(
        "--prompts",
        nargs="+",
        metavar="PROMPT",
        default=["{}"],
        help="sentences with {} for the label; of several, the mean embedding counts; default: the label alone",
    )
    parser.add_argument("--modality", help="what the files are; default: by their endings")
    parser.add_argument(
        "--top", type=int, default=3, help="labels printed for each file; default: %(default)s"
    )
    parser.add_argument("--to", metavar="FILE", help="write the probabilities of all labels: .csv or .jsonl")
    add_embedding_options(parser)
    options = parser.parse_args(argv)
    target = None if options.to is None else Path(options.to)
    if target is not None and target.suffix not in ENDINGS:
        raise UserError(f"--to {target}: the ending must be {' or '.join(ENDINGS)}")
    if options.top < 1:
        raise UserError(f"--top {options.top} must be at least 1")
    modality = options.modality or _modality_of(options.items)

    model = load_model(options.folder, options)
    result = model.classify(
        options.labels,
        options.prompts,
        batch_size=options.batch_size,
        resample=options.resample,
        **{modality: options.items},
    )
    for item, best in zip(options.items, result.top(options.top), strict=True):
        scores = (f"{each['label']} {each['probability']:.3f}" for each in best)
        print(f"{item}: {', '.join(scores)}")
    if target is not None:
        with replacing(target) as new:
            _write(new, target.suffix, options.items, result)
        print(f"wrote {target}")
    return 0


def _modality_of(items: Sequence[str]) -> str:
    """Tell the modality of files by their endings.

    Raises:
        UserError: An ending is unknown, or they are of several modalities.
    """
    from onepeace_pl.data.sources.folder import ENDINGS as KINDS

    kinds: dict[str, str] = {}
    for item in items:
        kind = KINDS.get(Path(item).suffix.lower())
        if kind is None or kind == "text":
            raise UserError(f"{item}: its ending does not tell its modality; give --modality")
        kinds.setdefault(kind, item)
    if len(kinds) > 1:
        raise UserError(f"{' and '.join(kinds.values())} are of several modalities; classify them one by one")
    return next(iter(kinds))


def _write(path: Path, ending: str, items: Sequence[str], result: "ZeroShotResult") -> None:
    rows = zip(items, result.predicted, result.probabilities.tolist(), strict=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        if ending == ".csv":
            writer = csv.writer(file)
            writer.writerow(["item", "label", *(f"p:{label}" for label in result.labels)])
            writer.writerows([item, label, *values] for item, label, values in rows)
            return
        for item, label, values in rows:
            probabilities = dict(zip(result.labels, values, strict=True))
            line = {"item": item, "label": label, "probabilities": probabilities}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
