"""Visual grounding: a table of images, phrases and boxes."""

from __future__ import annotations

from onepeace_pl.data.sources.column_names import corner_columns
from onepeace_pl.finetuning.parts import find_parts, rows_of
from onepeace_pl.finetuning.plan import Plan, Request
from onepeace_pl.finetuning.tables import ENDINGS, LabelledTable


def plan(request: Request) -> Plan:
    """Return task and data of visual grounding."""
    parts = find_parts(request.data, request.val, ENDINGS)
    table = LabelledTable(parts.train, request)
    modalities = ["image", "text"]
    for name in modalities:
        request.model.require(name, str(parts.train))
    image, text = map(table.require, modalities)
    box = table.column("box") or corner_columns(list(table.head)) or table.require("box", "x0, y0, x1, y1")
    said = ", ".join(box) if isinstance(box, list) else box
    request.guesses.add("format", "table", f"{image}, {text} and {said} of {parts.train}", "--columns")
    request.guesses.add("boxes", "x0, y0, x1, y1", "corners in pixels of the image; other forms are not read")
    rows = rows_of(parts, lambda path: table.source(path, modalities, labels={"box": box}), request.guesses)
    return Plan(
        title="Visual grounding",
        task={"class_path": "Grounding"},
        modalities=modalities,
        rows=rows,
        processors={"image": {"train_crop": None, "train_flip": 0.0, "fit": "squash"}},
        batch_size=32,
        updates=1000,
    )
