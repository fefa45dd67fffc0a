"""Search an index by text, image, audio, or several of them together.

search DIR --text "a dog barks"                             all modalities of the index
search DIR --image photo.png --text "at night" -k 20        one composed query
search DIR --audio bark.wav --where "modality = 'image'"    an SQL filter of columns
search DIR --words "dog" --text "a dog" --to results.html   full-text search, merged with that of vectors; a page
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onepeace_pl.cli.model_options import add_loading_options, load_model
from onepeace_pl.errors import UserError

if TYPE_CHECKING:
    from onepeace_pl.search import Hit

ENDINGS = (".json", ".csv", ".html")


def main(argv: Sequence[str]) -> int:
    """Search, print a table or write a file; return the exit code."""
    options = _parser().parse_args(argv)
    given = {"text": options.text, "image": options.image, "audio": options.audio, **_inputs(options.input)}
    inputs = {name: value for name, value in given.items() if value is not None}
    target = None if options.to is None else Path(options.to)
    if target is not None and target.suffix not in ENDINGS:
        raise UserError(f"--to {target}: the ending must be {', '.join(ENDINGS)}")
    if not inputs and options.words is None:
        raise UserError("empty query; give --text, --image, --audio or --words")

    from onepeace_pl.search.index import Index, read_facts
    from onepeace_pl.search.item import Query
    from onepeace_pl.search.results import write_results

    model = None
    if inputs:
        folder = options.model or read_facts(Path(options.folder))["model"]
        if folder is None or not Path(folder).is_dir():
            raise UserError(
                f"{options.folder}: its model is not at {folder}; name its folder: --model FOLDER"
            )
        model = load_model(folder, options)
    index = Index.open(options.folder, model)
    hits = index.search(
        words=options.words,
        k=options.k,
        where=options.where,
        exact=options.exact,
        fuse=options.fuse,
        **inputs,
    )
    if target is None:
        _print(hits)
        return 0
    write_results(target, Query(inputs, options.words, options.where), hits)
    print(f"wrote {target}: {len(hits)} results")
    return 0


def _print(hits: "Sequence[Hit]") -> None:
    if not hits:
        print("no results")
        return
    width = max(len(hit.modality) for hit in hits)
    for hit in hits:
        print(f"{hit.score:7.3f}  {hit.modality:{width}}  {_label(hit)}")


def _label(hit: "Hit") -> str:
    if hit.path:
        inside = os.path.relpath(hit.path)
        return hit.path if inside.startswith("..") else inside
    return hit.text.partition("\n")[0] or hit.id


def _inputs(said: Sequence[str]) -> dict[str, str]:
    found = {}
    for each in said:
        name, equals, value = each.partition("=")
        if not equals or not name or not value:
            raise UserError(f"--input {each}: write MODALITY=FILE, such as motion=walk.npy")
        found[name] = value
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="an index")
    query = parser.add_argument_group("query")
    query.add_argument("--text", help="a text")
    query.add_argument("--image", metavar="FILE", help="an image")
    query.add_argument("--audio", metavar="FILE", help="an audio file")
    query.add_argument(
        "--input",
        nargs="+",
        metavar="MODALITY=FILE",
        default=[],
        help="inputs of other modalities, such as that of a plug-in",
    )
    query.add_argument("--words", help="words in texts and captions, by full-text search")
    query.add_argument(
        "--fuse",
        choices=("sum", "joint"),
        help="vector of several inputs: the normalised sum of their own, or that of one joint pass; default: what the "
        "model was trained for",
    )
    results = parser.add_argument_group("results")
    results.add_argument("-k", type=int, default=10, help="number of results")
    results.add_argument(
        "--where", metavar="SQL", help="filter, such as \"modality = 'image' AND year > 2000\""
    )
    results.add_argument("--exact", action="store_true", help="exact search in a large index, too")
    results.add_argument("--to", metavar="FILE", help="write a .json, .csv or .html file")
    running = parser.add_argument_group("model")
    running.add_argument("--model", metavar="FOLDER", help="the model folder, if it has moved")
    add_loading_options(running)
    return parser
