"""MUSIC-AVQA: questions about performances, with answers from a small vocabulary."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from onepeace_pl.data.datasets.class_names import class_number, read_classes
from onepeace_pl.data.datasets.listing import Listing, Missing, file_name
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.labels.checking import shown
from onepeace_pl.data.source import Row
from onepeace_pl.data.sources.tables import entries, need, need_text, need_value, parse_json, read_json
from onepeace_pl.errors import UserError

_SLOT = re.compile(r"<[^<>]*>")
Question = tuple[str, str, str, int, str]  # id, audio, question, number of the answer, group


class MusicAvqa(Listing[Question]):
    """Rows of ``avqa-train.json``, ``avqa-val.json`` or ``avqa-test.json``.

    Slots of a question (``Is the <Object> ...``) are filled with its ``templ_values``. The answer (the key
    is spelled "anser") has confidence 1; the group is the type of the question, as ``Audio-Visual
    Counting``.

    Args:
        path: The JSON.
        audio: Folder of the audio tracks of the videos.
        answers: The answers that there are, in the order of their indices: a list, a file with them (one a
            line, or JSON), or another of the three files, whose answers are taken in alphabetical order.
            None takes those of `path`. Give all splits the same.
        pattern: Name of an audio file, from the keys of an entry.
        missing: "skip" leaves out rows whose audio file is missing.

    Raises:
        UserError: If a file is missing or of another shape, a question has more or fewer slots than values,
            or an answer is none of `answers`.
    """

    layout: ClassVar[str] = """
        music_avqa/avqa-train.json, avqa-val.json, avqa-test.json   (repository GeWu-Lab/MUSIC-AVQA, folder
                                                                     data/json)
        music_avqa/audio/<video_id>.wav     audio tracks of 9,288 videos; for other names set `pattern`"""

    modalities = ("audio", "text")

    def __init__(
        self,
        path: str,
        audio: str,
        answers: Sequence[str] | str | None = None,
        pattern: str = "{video_id}.wav",
        missing: Missing = "keep",
    ) -> None:
        file, self.audio = Path(path), audio
        content = read_json(file)
        self.classes = _answers(file, content) if answers is None else _known_answers(answers)
        numbers = {name: number for number, name in enumerate(self.classes)}
        records: list[Question] = []
        for place, entry in entries(file, content):
            number = class_number(need_text(entry, "anser", place), numbers, place)
            clip = file_name(pattern, {**entry, "video_id": need_value(entry, "video_id", place)}, place)
            group = " ".join(_list(entry, "type", place))
            question = _filled(
                need_text(entry, "question_content", place), _list(entry, "templ_values", place), place
            )
            records.append((need_text(entry, "question_id", place), clip, question, number, group))
        super().__init__(file, records, missing)
        self.published = published("music_avqa", file.stem.rpartition("-")[2])

    def row(self, record: Question) -> Row:
        """Make the row of (id, audio, question, number of the answer, group)."""
        identity, audio, question, number, group = record
        fields = {"audio": os.path.join(self.audio, audio), "text": question}
        return Row(identity, fields, {"answers": {self.classes[number]: 1.0}, "group": group})


def _known_answers(answers: Sequence[str] | str) -> tuple[str, ...]:
    if isinstance(answers, str) and answers.endswith(".json"):
        content = read_json(Path(answers))
        if isinstance(content, list) and content and isinstance(content[0], dict):
            return _answers(Path(answers), content)
    return read_classes(answers)


def _answers(file: Path, content: object) -> tuple[str, ...]:
    return tuple(sorted({need_text(entry, "anser", place) for place, entry in entries(file, content)}))


def _list(entry: object, key: str, place: str) -> list[str]:
    """Return a list that the files hold as JSON in a string."""
    value = need(entry, key, place)
    try:
        found = parse_json(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise UserError(f"{place}: {key} {shown(value)} is no JSON list; download the file again")
    return [need_text({key: item}, key, place) for item in found]


def _filled(question: str, values: list[str], place: str) -> str:
    slots = _SLOT.findall(question)
    if len(slots) != len(values):
        raise UserError(
            f"{place}: {len(values)} templ_values for {len(slots)} slots of {shown(question)}; correct the entry"
        )
    left = iter(values)
    return _SLOT.sub(lambda _: next(left), question)
