"""AVQA: multiple-choice audio-visual questions, four choices each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from onepeace_pl.data.datasets.listing import Listing, Missing, file_name
from onepeace_pl.data.labels.checking import checked, shown
from onepeace_pl.data.source import Row
from onepeace_pl.data.sources.choices import choice_texts
from onepeace_pl.data.sources.tables import entries, need, need_text, need_value, read_json
from onepeace_pl.errors import UserError

Question = tuple[str, str, str, tuple[str, ...], int, str]  # id, audio, question, choices, answer, group


class Avqa(Listing[Question]):
    """Rows of ``train_qa.json`` or ``val_qa.json``: video_name, question_text, multi_choice, answer.

    A row's text is a tuple with one text a choice (question, " answer: ", choice: docs/reference/tasks.md, section 8),
    its answer the number of the right one, its group the question_type.

    Args:
        path: The JSON.
        audio: Folder of the audio tracks of the videos.
        pattern: Name of an audio file, from the keys of an entry.
        missing: "skip" leaves out rows whose audio file is missing (many are gone from YouTube).

    Raises:
        UserError: If the file is missing or of another shape, or a right answer is not among the choices.
    """

    layout: ClassVar[str] = """
        avqa/train_qa.json, val_qa.json   57,335 questions (mn.cs.tsinghua.edu.cn/avqa)
        avqa/audio/<video_name>.wav       audio tracks of the videos, which are VGGSound's; for other names set
                                          `pattern`"""

    modalities = ("audio", "text")

    def __init__(
        self, path: str, audio: str, pattern: str = "{video_name}.wav", missing: Missing = "keep"
    ) -> None:
        file, self.audio = Path(path), audio
        records: list[Question] = []
        for number, (place, entry) in enumerate(entries(file, read_json(file))):
            choices = need(entry, "multi_choice", place)
            if not isinstance(choices, list) or len(choices) < 2:
                raise UserError(f"{place}: multi_choice {shown(choices)} is no list of two or more choices")
            labels = checked(place, {"answer": need(entry, "answer", place)}, choices=len(choices))
            clip = file_name(pattern, {**entry, "video_name": need_value(entry, "video_name", place)}, place)
            question = need_text(entry, "question_text", place).strip()
            identity = need_text(entry, "id", place) if "id" in entry else str(number)
            group = need_text(entry, "question_type", place) if "question_type" in entry else ""
            texts = tuple(need_text({"multi_choice": choice}, "multi_choice", place) for choice in choices)
            records.append((identity, clip, question, texts, labels["answer"], group))
        super().__init__(file, records, missing)

    def row(self, record: Question) -> Row:
        """Make the row of (id, audio, question, choices, answer, group)."""
        identity, audio, question, choices, answer, group = record
        fields = {"audio": os.path.join(self.audio, audio), "text": choice_texts(question, choices)}
        return Row(identity, fields, {"answer": answer, **({"group": group} if group else {})})
