"""VQAv2: questions about COCO's images, answered by ten people each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from onepeace_pl.data.datasets.class_names import read_classes
from onepeace_pl.data.datasets.listing import Listing, Missing, file_name
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.datasets.vqa_answers import confidences, vocabulary
from onepeace_pl.data.labels.checking import shown
from onepeace_pl.data.source import Row
from onepeace_pl.data.sources.tables import entries, need_list, need_text, need_value, read_json
from onepeace_pl.errors import UserError

Question = tuple[str, str, str, Mapping[str, float] | None, str]  # id, image, question, answers, group


class VqaV2(Listing[Question]):
    """Questions of one official file, with the confidences of their answers where there are annotations.

    Answers outside the vocabulary are left out: no prediction can reach them. The group is the type of the
    answer (yes/no, number, other).

    Args:
        questions: ``v2_OpenEnded_mscoco_<subset>_questions.json``.
        images: Folder of the images, which holds ``train2014``, ``val2014``, ``test2015``.
        annotations: ``v2_mscoco_<subset>_annotations.json``; None for the test, which has none.
        answers: The answers that there are, in the order of their indices: a list, or a file (one a line, or
            JSON as the original's ``ans2label``). None takes those that are the most common one of at least
            `min_count` questions of the annotations. Give all splits the same.
        min_count: See `answers`; 9 over training and validation gives the usual 3,129.
        pattern: Name of an image file, from ``image_id`` and ``subset``.
        missing: "skip" leaves out rows whose image file is missing.

    Raises:
        UserError: If a file is missing or of another shape, or a question has no annotation.
    """

    layout: ClassVar[str] = """
        vqav2/v2_OpenEnded_mscoco_train2014_questions.json, v2_mscoco_train2014_annotations.json
        vqav2/v2_OpenEnded_mscoco_val2014_questions.json, v2_mscoco_val2014_annotations.json
        vqav2/v2_OpenEnded_mscoco_test-dev2015_questions.json, v2_OpenEnded_mscoco_test2015_questions.json
                                               (visualqa.org/download.html)
        vqav2/answers.json                     3,129 answers: a JSON list, or ans2label of the original
        coco/train2014/*.jpg, coco/val2014/*.jpg, coco/test2015/*.jpg    (cocodataset.org)"""

    modalities = ("image", "text")

    def __init__(
        self,
        questions: str,
        images: str,
        annotations: str | None = None,
        answers: Sequence[str] | str | None = None,
        min_count: int = 9,
        pattern: str = "{subset}/COCO_{subset}_{image_id:012d}.jpg",
        missing: Missing = "keep",
    ) -> None:
        file, self.images = Path(questions), images
        content = read_json(file)
        subset = need_text(content, "data_subtype", questions)
        known = {} if annotations is None else _annotations(Path(annotations))
        if answers is not None:
            self.classes = read_classes(answers)
        elif known:
            self.classes = vocabulary((str(common) for _, common, _ in known.values()), min_count)
        # most questions have the same few answers, and share one mapping
        shared: dict[tuple[tuple[str, float], ...], Mapping[str, float]] = {}
        names = frozenset(self.classes)
        records: list[Question] = []
        for place, entry in entries(file, content, "questions"):
            identity = need_value(entry, "question_id", place)
            found: Mapping[str, float] | None = None
            group = ""
            if annotations is not None:
                if identity not in known:
                    raise UserError(f"{place}: question {shown(identity)} has no annotation in {annotations}")
                people, _, group = known[identity]
                right = tuple((a, c) for a, c in confidences(people).items() if not names or a in names)
                found = shared.setdefault(right, dict(right))
            pictures = "test2015" if subset.startswith("test") else subset
            values = {"image_id": need_value(entry, "image_id", place), "subset": pictures}
            image = file_name(pattern, values, place)
            records.append((str(identity), image, need_text(entry, "question", place), found, group))
        super().__init__(file, records, missing)
        self.published = published("vqav2", subset)

    def row(self, record: Question) -> Row:
        """Make the row of (id, image, question, answers, group)."""
        identity, image, question, answers, group = record
        fields = {"image": os.path.join(self.images, image), "text": question}
        return Row(identity, fields, {} if answers is None else {"answers": answers, "group": group})


def _annotations(file: Path) -> dict[str | int | float, tuple[list[str], str, str]]:
    """Return question -> answers of the people, the most common one, type of the answer."""
    found = {}
    for place, entry in entries(file, read_json(file), "annotations"):
        people = [need_text(answer, "answer", place) for answer in need_list(entry, "answers", place)]
        if not people:
            raise UserError(f"{place}: no answers; give the question some, or delete the entry")
        given = entry.get("multiple_choice_answer")
        common = need_text(entry, "multiple_choice_answer", place) if given else max(people, key=people.count)
        group = need_text(entry, "answer_type", place) if "answer_type" in entry else "other"
        found[need_value(entry, "question_id", place)] = (people, common, group)
    return found
