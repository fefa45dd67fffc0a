"""Files of search results: JSON, CSV, or a page in HTML."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from onepeace_pl.errors import UserError
from onepeace_pl.search.item import Hit, Query
from onepeace_pl.utils.files import replacing, write_text


def write_results(path: Path, query: Query, hits: Sequence[Hit]) -> None:
    """Write results to a file of the format that its ending tells.

    Args:
        path: A ``.json``, ``.csv`` or ``.html`` file.
        query: What was searched for.
        hits: The results, best first.

    Raises:
        UserError: The ending is another one.
    """
    if path.suffix == ".json":
        content = {"query": asdict(query), "results": [asdict(hit) for hit in hits]}
        write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    elif path.suffix == ".csv":
        _write_csv(path, hits)
    elif path.suffix == ".html":
        from onepeace_pl.search.page import results_page

        write_text(path, results_page(query, hits))
    else:
        raise UserError(f"{path}: the ending must be .json, .csv or .html")


def _write_csv(path: Path, hits: Sequence[Hit]) -> None:
    metadata = list(dict.fromkeys(name for hit in hits for name in hit.metadata))
    with replacing(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["rank", "score", "modality", "id", "path", "text", *metadata])
        for rank, hit in enumerate(hits, 1):
            further = [hit.metadata.get(name, "") for name in metadata]
            table.writerow([rank, hit.score, hit.modality, hit.id, hit.path, hit.text, *further])
