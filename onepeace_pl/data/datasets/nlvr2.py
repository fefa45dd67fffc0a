"""NLVR2: statements about two images, true or false."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from onepeace_pl.data.datasets.listing import Listing, Missing
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.labels.checking import shown
from onepeace_pl.data.source import Row
from onepeace_pl.data.sources.tables import need, need_text, read_json_lines
from onepeace_pl.errors import UserError

Statement = tuple[str, str, str, bool]  # id, what both images' names begin with, sentence, truth
_TRUTH = {"true": True, "false": False}


class Nlvr2(Listing[Statement]):
    """Rows of ``train.json``, ``dev.json``, ``test1.json`` (the published test, test-P), an object a line.

    A row's image is the pair (left, right): ``<identifier without its last part>-img0.png`` and
    ``-img1.png``, below the folder that the entry's ``directory`` names, where it has one.

    Args:
        path: The file.
        images: Folder of the images of that split.
        missing: "skip" leaves out rows of which an image file is missing.

    Raises:
        UserError: If the file is missing, or a line is of another shape or neither True nor False.
    """

    layout: ClassVar[str] = """
        nlvr2/data/train.json, dev.json, test1.json         (repository lil-lab/nlvr, folder nlvr2)
        nlvr2/images/train/<directory>/train-*-img{0,1}.png     86,373 sentences
        nlvr2/images/dev/dev-*-img{0,1}.png                     6,982 sentences
        nlvr2/images/test1/test1-*-img{0,1}.png                 6,967 sentences"""

    modalities = ("image", "text")

    def __init__(self, path: str, images: str, missing: Missing = "keep") -> None:
        file, self.images = Path(path), images
        records: list[Statement] = []
        for line, entry in read_json_lines(file):
            place = f"{path}:{line}"
            identity = need_text(entry, "identifier", place)
            stem, dash, _ = identity.rpartition("-")
            if not dash:
                raise UserError(f"{place}: identifier {shown(identity)} is not <split>-<pair>-<number>")
            label = need(entry, "label", place)
            if not isinstance(label, str | bool) or str(label).lower() not in _TRUTH:
                raise UserError(
                    f"{place}: label {shown(label)} is neither True nor False; write one of the two"
                )
            folder = need_text(entry, "directory", place) if "directory" in entry else ""
            text, truth = need_text(entry, "sentence", place), _TRUTH[str(label).lower()]
            records.append((identity, os.path.join(folder, stem), text, truth))
        super().__init__(file, records, missing)
        self.published = published("nlvr2", file.stem)

    def row(self, record: Statement) -> Row:
        """Make the row of (id, what the images' names begin with, sentence, truth)."""
        identity, stem, sentence, truth = record
        pair = tuple(os.path.join(self.images, f"{stem}-img{side}.png") for side in (0, 1))
        return Row(identity, {"image": pair, "text": sentence}, {"truth": truth})
