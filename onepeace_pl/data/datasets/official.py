"""TSV tables of ONE-PEACE's downstream tasks (docs/reference/tasks.md, section 1), one class a task.

Pairs are read by `ImageTextTsv` and `AudioTextTsv`. Rows are read when asked for, so an invalid line
is found by ``labels()`` or ``data check``, not when the table is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from onepeace_pl.data.datasets.class_names import read_classes
from onepeace_pl.data.labels.checking import checked, shown, whole
from onepeace_pl.data.source import Fields, Labels, Row
from onepeace_pl.data.sources.choices import choice_texts
from onepeace_pl.data.sources.image_size import read_image_size
from onepeace_pl.data.sources.tsv import AudioTsv, TsvSource
from onepeace_pl.errors import UserError


class VggSoundTsv(AudioTsv):
    """Audio classification: ``uniq_id``, ``audio``, ``text`` (class index, from 0), ``duration``.

    Args:
        path: ``vggsound_train.tsv``, ``vggsound_test.tsv``.
        classes: Names of the classes in the order of their indices: a list or a file
            (``vggsound_id2label.json``).
        root: Folder that media paths start from; None takes the table's own.

    Raises:
        UserError: If a file is missing, a column is not there or a row is ragged.
    """

    layout: ClassVar[str] = """
        vggsound/vggsound_train.tsv, vggsound_test.tsv    uniq_id, audio, text (0 to 308), duration
        vggsound/vggsound_id2label.json                   names of the classes
        audio files                                       where the column `audio` says"""

    def __init__(
        self, path: str, classes: Sequence[str] | str | None = None, root: str | None = None
    ) -> None:
        super().__init__(path, {"audio": "audio"}, "uniq_id", root)
        self.classes = () if classes is None else read_classes(classes)

    def labels_of(self, values: list[str], place: str) -> Labels:
        """Return the class of a line."""
        number = _whole(self.value(values, "text"), "class", place)
        return checked(place, {"class": number}, self.classes)


class Fsd50kTsv(AudioTsv):
    """Audio tagging, any number of classes a clip: ``text`` has their numbers with commas, from 0.

    Args:
        path: ``fsd50K_dev.tsv``, ``fsd50K_eval.tsv``.
        classes: Names of the classes in the order of their indices: a list or a file (``vocabulary.csv``).
        root: Folder that media paths start from; None takes the table's own.

    Raises:
        UserError: If a file is missing, a column is not there or a row is ragged.
    """

    layout: ClassVar[str] = """
        fsd50k/fsd50K_dev.tsv, fsd50K_eval.tsv    uniq_id, audio, text (such as 3,17,199), duration
        audio files                               where the column `audio` says"""

    def __init__(
        self, path: str, classes: Sequence[str] | str | None = None, root: str | None = None
    ) -> None:
        super().__init__(path, {"audio": "audio"}, "uniq_id", root)
        vocabulary = isinstance(classes, str) and classes.endswith(".csv")
        self.classes = () if classes is None else read_classes(classes, column=1 if vocabulary else 0)

    def labels_of(self, values: list[str], place: str) -> Labels:
        """Return the classes of a line."""
        found = tuple(_whole(part, "class", place) for part in self.value(values, "text").split(","))
        return checked(place, {"classes": found}, self.classes)


class Esc50Tsv(AudioTsv):
    """Zero-shot audio classification: ``uniq_id`` is the class index.

    Args:
        path: ``esc50.tsv``.
        classes: ``esc50_label.json``, which has ``{number: [name]}``; or the names, in a list or a file.
        root: Folder that media paths start from; None takes the table's own.

    Raises:
        UserError: If a file is missing, a column is not there or a row is ragged.
    """

    layout: ClassVar[str] = """
        esc50/esc50.tsv           uniq_id (0 to 49), audio, text, duration
        esc50/esc50_label.json    {"0": ["dog"], ...}
        audio files               where the column `audio` says"""

    def __init__(
        self, path: str, classes: Sequence[str] | str | None = None, root: str | None = None
    ) -> None:
        super().__init__(path, {"audio": "audio"}, None, root)
        self.classes = () if classes is None else read_classes(classes)

    def labels_of(self, values: list[str], place: str) -> Labels:
        """Return the class of a line."""
        number = _whole(self.value(values, "uniq_id"), "class", place)
        return checked(place, {"class": number}, self.classes)


class ImageClassTsv(TsvSource):
    """Image classification: ``image``, ``label``; the table counts classes from 1, rows from 0.

    Args:
        path: The table.
        classes: Names of the classes in the order of their indices: a list or a file.
        root: Folder that media paths start from; None takes the table's own.

    Raises:
        UserError: If a file is missing, a column is not there or a row is ragged.
    """

    layout: ClassVar[str] = """
        imagenet/train.tsv, val.tsv    image, label (1 to 1000)
        images                         where the column `image` says"""

    def __init__(
        self, path: str, classes: Sequence[str] | str | None = None, root: str | None = None
    ) -> None:
        super().__init__(path, {"image": "image"}, None, root)
        self.classes = () if classes is None else read_classes(classes)

    def labels_of(self, values: list[str], place: str) -> Labels:
        """Return the class of a line, counted from 0."""
        number = _whole(self.value(values, "label"), "label", place)
        if number < 1:
            raise UserError(f"{place}: label {number}; these tables count classes from 1")
        return checked(place, {"class": number - 1}, self.classes)


class AvqaTsv(AudioTsv):
    """Multiple-choice audio questions: ``text`` is ``question&&&choice&&&...&&&number of the right one``, from 0.

    A row's text is a tuple with one text a choice.

    Args:
        path: ``avqa_train.tsv``, ``avqa_val.tsv``.
        root: Folder that media paths start from; None takes the table's own.

    Raises:
        UserError: If the file is missing, a column is not there or a row is ragged.
    """

    layout: ClassVar[str] = """
        avqa/avqa_train.tsv, avqa_val.tsv    uniq_id, audio, text, duration
        audio files                          where the column `audio` says"""

    def __init__(self, path: str, root: str | None = None) -> None:
        super().__init__(path, {"audio": "audio", "text": "text"}, "uniq_id", root)

    def fields_of(self, values: list[str], place: str) -> Fields:
        """Return the audio and one text a choice."""
        question, *choices = self._parts(values, place)[:-1]
        return super().fields_of(values, place) | {"text": choice_texts(question, choices)}

    def labels_of(self, values: list[str], place: str) -> Labels:
        """Return the number of the right choice."""
        parts = self._parts(values, place)
        answer = _whole(parts[-1], "answer", place)
        return checked(place, {"answer": answer}, choices=len(parts) - 2)

    def _parts(self, values: list[str], place: str) -> list[str]:
        parts = self.value(values, "text").split("&&&")
        if len(parts) < 4:
            raise UserError(
                f"{place}: {len(parts)} parts between &&&; write question&&&choice&&&choice&&&...&&&number"
            )
        return parts


class RefCocoTsv(TsvSource):
    """Referring expressions and their boxes: ``image``, ``text``, ``region_coord`` (x0,y0,x1,y1 in pixels).

    The size of an image as stored is read from it when a row is asked for.

    Args:
        path: ``train.tsv``, ``val.tsv``, ``testA.tsv``, ...
        root: Folder that media paths start from; None takes the table's own.

    Raises:
        UserError: If the file is missing, a column is not there or a row is ragged.
    """

    layout: ClassVar[str] = """
        refcoco/train.tsv, val.tsv, testA.tsv, testB.tsv    image, text, region_coord
        refcocog/train.tsv, val.tsv, test.tsv
        images                                              where the column `image` says"""

    def __init__(self, path: str, root: str | None = None) -> None:
        super().__init__(path, {"image": "image", "text": "text"}, None, root)

    def __getitem__(self, index: int) -> Row:
        row = super().__getitem__(index)
        image_size = read_image_size(row.fields["image"], upright=False)  # as the original measures it
        labels = checked(f"{self.path}:{index + 2}", {**row.labels, "image_size": image_size})
        return Row(row.id, row.fields, labels)

    def labels_of(self, values: list[str], place: str) -> Labels:
        """Return the box of a line."""
        text = self.value(values, "region_coord")
        try:
            box = tuple(float(part) for part in text.split(","))
        except ValueError as error:
            raise UserError(f"{place}: region_coord {shown(text)} is not x0,y0,x1,y1") from error
        return checked(place, {"box": box})


class VqaTsv(TsvSource):
    """Questions about images: ``uniq_id``, ``image``, ``question``, ``refs``.

    ``refs`` has an item ``answer|!+number|!+confidence`` for each right answer, joined by ``&&``.

    Args:
        path: ``vqav2_vg_train.tsv``, ``vqav2_rest_val.tsv``, ``vqav2_test-dev.tsv``.
        answers: The answers in the order of their indices: a list or a file (JSON ``ans2label``). Without,
            answers go by their numbers.
        root: Folder that media paths start from; None takes the table's own.

    Raises:
        UserError: If a file is missing, a column is not there or a row is ragged.
    """

    layout: ClassVar[str] = """
        vqav2/vqav2_vg_train.tsv, vqav2_rest_val.tsv, vqav2_test-dev.tsv    uniq_id, image, question, refs
        images                                                              where the column `image` says"""

    def __init__(
        self, path: str, answers: Sequence[str] | str | None = None, root: str | None = None
    ) -> None:
        super().__init__(path, {"image": "image", "text": "question"}, "uniq_id", root)
        self.classes = () if answers is None else read_classes(answers)

    def labels_of(self, values: list[str], place: str) -> Labels:
        """Return the answers of a line with their confidences; none where ``refs`` is empty (the test)."""
        refs = self.value(values, "refs")
        if not refs.strip():
            return {}
        found: dict[str | int, float] = {}
        for item in refs.split("&&"):
            parts = item.split("|!+")
            if len(parts) != 3:
                raise UserError(f"{place}: {shown(item)} is not answer|!+number|!+confidence")
            name, number = parts[0], _whole(parts[1], "answer", place)
            if self.classes and (number >= len(self.classes) or self.classes[number] != name):
                there = self.classes[number] if number < len(self.classes) else "nothing"
                raise UserError(f"{place}: answer {number} is {shown(name)} here and {there!r} in `answers`")
            try:
                found[name if self.classes else number] = float(parts[2])
            except ValueError as error:
                raise UserError(f"{place}: confidence {shown(parts[2])} is no number") from error
        return checked(place, {"answers": found})


class Nlvr2Tsv(TsvSource):
    """Statements about two images: ``uniq_id``, ``text``, ``image1``, ``image2``, ``label`` (True, False).

    Args:
        path: ``train.tsv``, ``dev.tsv``, ``test1.tsv``.
        root: Folder that media paths start from; None takes the table's own.

    Raises:
        UserError: If the file is missing, a column is not there or a row is ragged.
    """

    layout: ClassVar[str] = """
        nlvr2/train.tsv, dev.tsv, test1.tsv    uniq_id, text, image1, image2, label
        images                                 where the columns `image1` and `image2` say"""

    def __init__(self, path: str, root: str | None = None) -> None:
        super().__init__(path, {"image": ("image1", "image2"), "text": "text"}, "uniq_id", root)

    def labels_of(self, values: list[str], place: str) -> Labels:
        """Return whether the statement of a line holds."""
        label = self.value(values, "label")
        if label not in ("True", "False"):
            raise UserError(f"{place}: label {shown(label)} is neither True nor False; write one of the two")
        return {"truth": label == "True"}


def _whole(text: str, what: str, place: str) -> int:
    if (number := whole(text)) is None:
        raise UserError(f"{place}: {what} {shown(text)} is no whole number; count from 0")
    return number
