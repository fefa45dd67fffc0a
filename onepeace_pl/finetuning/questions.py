"""Question answering: a table of images or sounds, questions, and answers or choices."""

from __future__ import annotations

from pathlib import Path

from onepeace_pl.errors import UserError
from onepeace_pl.finetuning.parts import find_parts, rows_of
from onepeace_pl.finetuning.plan import Plan, Request
from onepeace_pl.finetuning.tables import ENDINGS, LabelledTable
from onepeace_pl.utils.json_files import JsonObject


def plan(request: Request) -> Plan:
    """Return task and data of question answering: over a vocabulary of answers, or among the choices of each row."""
    parts = find_parts(request.data, request.val, ENDINGS)
    table = LabelledTable(parts.train, request)
    media = table.media()
    if media == "text":
        raise UserError(f"{parts.train}: no column of files that questions are about; name yours (--columns)")
    for name in (media, "text"):
        request.model.require(name, str(parts.train))
    columns = f"{table.require(media)} and {table.require('text')}"
    choices = table.column("choices")
    label = "answers" if choices is None else "answer"
    answer = table.column(label) or table.require(label)
    request.guesses.add("format", "table", f"{columns} of {parts.train}", "--columns")
    how = f"a vocabulary of {answer}" if choices is None else f"{choices}, of which {answer} is right"
    request.guesses.add("answers", "open" if choices is None else "multiple choice", how, "--columns")

    def make(path: Path) -> JsonObject:
        return table.source(path, [media, "text"], labels={label: answer}, choices=choices)

    image: JsonObject = {"train_crop": None, "train_flip": 0.0}
    return Plan(
        title=f"{media.capitalize()} question answering",
        task={
            "class_path": "OpenAnswer" if choices is None else "MultipleChoice",
            "init_args": {"evidence": [media]},
        },
        modalities=[media, "text"],
        rows=rows_of(parts, make, request.guesses),
        processors={"image": image} if media == "image" else {},
        batch_size=32,
        updates=1000,
    )
