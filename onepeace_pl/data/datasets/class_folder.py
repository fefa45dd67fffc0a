"""Class folders: ImageNet, and any other folder of folders."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from onepeace_pl.data.datasets.class_names import read_classes
from onepeace_pl.data.datasets.listing import Listing
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.source import Row
from onepeace_pl.data.sources.folder import ENDINGS
from onepeace_pl.errors import UserError

_WORDNET = re.compile(r"n\d{8}")


class ClassFolder(Listing[tuple[int, str]]):
    """Images, audio files or files of another modality in one folder per class.

    Files may lie deeper than the folder of their class; the id is the path below `path` without its ending. Hidden
    folders are no classes.

    Args:
        path: The folder of the folders.
        classes: Names of the folders in the order of their indices: a list, or a file with one a line (or
            JSON). None takes the folders in alphabetical order, as ImageNet's numbers go.
        endings: Ending to modality, for files of other modalities: ``{.npy: motion}``.

    Raises:
        UserError: If the folder is missing or holds no file, a folder is none of the classes, or images
            and audio files are mixed.
    """

    layout: ClassVar[str] = """
        imagenet/train/n01440764/*.JPEG    1,000 folders, 1,281,167 images (ILSVRC2012_img_train.tar, whose
                                           1,000 tar files each become a folder)
        imagenet/val/n01440764/*.JPEG      50,000 images (ILSVRC2012_img_val.tar, sorted into the same
                                           folders)
        Any folder of folders will do; the names of the folders are the classes."""

    def __init__(
        self,
        path: str,
        classes: Sequence[str] | str | None = None,
        endings: dict[str, str] | None = None,
    ) -> None:
        root = Path(path)
        if not root.is_dir():
            raise UserError(f"{path}: no such folder; check the path") from FileNotFoundError(path)
        folders = sorted(
            entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")
        )
        self.classes = tuple(folders) if classes is None else read_classes(classes)
        stray = next((name for name in folders if name not in self.classes), None)
        if stray is not None:
            raise UserError(
                f"{root / stray}: folder {stray!r} is none of the {len(self.classes)} classes; "
                "add it to `classes`, or move it away"
            )
        records, modalities = [], set()
        for number, name in enumerate(self.classes):
            for file, modality in _media(root / name, ENDINGS | (endings or {})):
                modalities.add(modality)
                records.append((number, os.path.join(name, file)))
        if not records:
            raise UserError(
                f"{path}: no image or audio file in {len(self.classes)} folders; the endings are "
                f"{', '.join(e for e, modality in ENDINGS.items() if modality != 'text')}"
            )
        if len(modalities) > 1:
            raise UserError(
                f"{path}: {' and '.join(sorted(modalities))} are mixed; move one of them elsewhere"
            )
        super().__init__(root, records)
        self.modalities = tuple(modalities)
        if len(self.classes) == 1000 and all(map(_WORDNET.fullmatch, self.classes)):
            self.published = published("imagenet", root.name)

    def row(self, record: tuple[int, str]) -> Row:
        """Make the row of (class index, path below the folder)."""
        number, file = record
        (modality,) = self.modalities
        fields = {modality: os.path.join(self.path, file)}
        return Row(os.path.splitext(file)[0], fields, {"class": self.classes[number]})


def _media(folder: Path, endings: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the path below a folder and the modality of each file, texts left out."""
    found = []
    for place, _, names in os.walk(folder):
        below = os.path.relpath(place, folder)
        for name in names:
            modality = endings.get(os.path.splitext(name)[1].lower())
            if modality not in (None, "text"):
                found.append((name if below == "." else os.path.join(below, name), str(modality)))
    return sorted(found)
