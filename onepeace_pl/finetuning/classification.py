"""Classification: folders of one class each, or a table of files and classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onepeace_pl.data.datasets import ClassFolder
from onepeace_pl.data.sources.label_columns import read_list
from onepeace_pl.errors import UserError
from onepeace_pl.finetuning.parts import Parts, find_parts, rows_of
from onepeace_pl.finetuning.plan import Plan, Request
from onepeace_pl.finetuning.specs import spec
from onepeace_pl.finetuning.tables import ENDINGS, LabelledTable
from onepeace_pl.utils.json_files import JsonObject

AUGMENTED: JsonObject = {"train_crop": [0.6, 1.0], "train_flip": 0.5}


def plan(request: Request) -> Plan:
    """Return task and data of a classification."""
    parts = find_parts(request.data, request.val, ENDINGS)
    if parts.train.is_dir():
        return _of_folders(request, parts)
    return _of_table(request, parts)


def _of_folders(request: Request, parts: Parts) -> Plan:
    if not any(each.is_dir() for each in parts.train.iterdir()):
        raise UserError(
            f"{parts.train} holds neither a folder for each class nor a table of files and classes "
            f"({', '.join(ENDINGS)})"
        )
    endings = dict(request.endings) or None
    source = ClassFolder(str(parts.train), request.classes, endings)
    (modality,) = source.modalities
    request.guesses.add(
        "format", "class folders", f"{len(source.classes)} folders of {modality} files in {parts.train}"
    )

    def make(path: Path) -> JsonObject:
        classes = request.classes
        if (
            path != parts.train
            and classes is None
            and ClassFolder(str(path), None, endings).classes != source.classes
        ):
            classes = source.classes
        return spec(ClassFolder, path=str(path), classes=classes, endings=endings)

    return _plan(request, parts, modality, "class", make)


def _of_table(request: Request, parts: Parts) -> Plan:
    table = LabelledTable(parts.train, request)
    modality = table.media()
    label, column = _label(table, table.require(modality))
    request.guesses.add(
        "format", "table", f"{table.require(modality)} and {column} of {parts.train}", "--columns"
    )

    def make(path: Path) -> JsonObject:
        return table.source(path, [modality], labels={label: column})

    return _plan(request, parts, modality, label, make)


def _plan(
    request: Request, parts: Parts, modality: str, label: str, make: Callable[[Path], JsonObject]
) -> Plan:
    request.model.require(modality, str(parts.train))
    rows = rows_of(parts, make, request.guesses, label if label == "class" else None)
    kind = "Classification" if label == "class" else "MultiLabelClassification"
    return Plan(
        title=f"{modality.capitalize()} classification{'' if label == 'class' else ' of several classes a row'}",
        task={"class_path": kind, "init_args": {"modality": modality}},
        modalities=[modality],
        rows=rows,
        processors={modality: AUGMENTED} if modality == "image" else {},
        needs_classes=True,
        batch_size=64 if modality in ("image", "text") else 32,
    )


def _label(table: LabelledTable, media: str) -> tuple[str, str]:
    """Return the label, ``class`` or ``classes``, and its column."""
    if (column := table.request.columns.get("classes")) is not None:
        return "classes", column
    several = table.column("classes")
    if table.column("class") is None and several is not None:
        many = any(len(read_list(row[several])) > 1 for row in table.rows())
        return ("classes" if many else "class"), several
    others = [name for name in table.head if name != media]
    column = table.column("class") or (others[0] if len(others) == 1 else None)
    return "class", column or table.require("class", "classes")
