"""Retrieval: pairs of files and texts, in a table or side by side in a folder."""

from __future__ import annotations

from pathlib import Path

from onepeace_pl.data.sources.opening import ID, TABLES, TableFiles
from onepeace_pl.errors import UserError
from onepeace_pl.finetuning.parts import find_parts, rows_of
from onepeace_pl.finetuning.plan import Plan, Request
from onepeace_pl.finetuning.specs import spec
from onepeace_pl.utils.json_files import JsonObject


def plan(request: Request) -> Plan:
    """Return task and data of retrieval between two modalities."""
    parts = find_parts(request.data, request.val, TABLES)
    files = _open(request, parts.train)
    first, second = pair = _pair(request, files)
    for name in pair:
        request.model.require(name, str(parts.train))
    columns = files.columns_of_fields
    where = f"{columns[first]} and {columns[second]} of {parts.train}"
    request.guesses.add("pair", f"{first}, {second}", where, "--columns, --modality")

    def make(path: Path) -> JsonObject:
        opened = files if path == parts.train else _open(request, path)
        kind, options = opened.reader(path, {name: columns[name] for name in pair})
        if "columns" in options and first != "text":  # rows about one file belong together
            options.setdefault("id_column", columns[first])
        return spec(kind, **options)

    dims = request.model.backbone.matryoshka_dims
    return Plan(
        title=f"{first.capitalize()}-{second} retrieval",
        task={
            "class_path": "Retrieval",
            "init_args": {
                "pair": list(pair),
                "gradient": "exact",
                "ignore_duplicates": True,
                **({"matryoshka_dims": list(dims)} if dims else {}),
            },
        },
        modalities=pair,
        rows=rows_of(parts, make, request.guesses),
        data_module="PairsDataModule",
        processors={"image": {"train_crop": [0.9, 1.0]}} if "image" in pair else {},
        batch_size=64,
        keeps_vectors=True,
    )


def _open(request: Request, path: Path) -> TableFiles:
    columns = {name: column for name, column in request.columns.items() if name != ID}
    return TableFiles([path], request.model.modalities, columns, (), request.root, usual=True)


def _pair(request: Request, files: TableFiles) -> tuple[str, str]:
    """Return the modalities, text last."""
    names = [name for name in files.fields if name in request.model.modalities]
    if request.modality is not None and request.modality in names:
        names = [
            request.modality,
            *(["text"] if "text" in names else [n for n in names if n != request.modality]),
        ]
    ordered = [*(name for name in names if name != "text"), *(["text"] if "text" in names else [])]
    if len(ordered) != 2:
        known = ", ".join(request.model.modalities)
        raise UserError(
            f"{request.data}: a pair takes two modalities of {request.model.folder} ({known}), and there are columns "
            f"of {', '.join(names) or 'none'}; name yours (--columns image=COLUMN text=COLUMN), or choose "
            f"one beside text (--modality); the columns are {', '.join(files.columns)}"
        )
    return ordered[0], ordered[1]
