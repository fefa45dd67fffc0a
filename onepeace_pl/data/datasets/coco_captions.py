"""Image captioning: COCO and Flickr30k, in Karpathy's JSON format and their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar, Literal

from onepeace_pl.data.datasets.listing import Listing, Missing
from onepeace_pl.data.datasets.published import published
from onepeace_pl.data.labels.checking import shown
from onepeace_pl.data.source import Row
from onepeace_pl.data.sources.tables import entries, need_list, need_text, need_value, read_json
from onepeace_pl.errors import UserError

Caption = tuple[str, str, str]  # id of the image, its path, the caption


class Captions(Listing[Caption]):
    """Image-caption pairs, one row a caption; captions of one image have one id."""

    modalities = ("image", "text")
    shared: ClassVar[tuple[str, ...]] = ("image",)

    def row(self, record: Caption) -> Row:
        """Make the row of (id, path of the image, caption)."""
        identity, image, text = record
        return Row(identity, {"image": image, "text": text})


class CocoKarpathy(Captions):
    """Karpathy's splits: ``dataset_coco.json``, ``dataset_flickr30k.json``.

    The id is COCO's number of the image where the file has it, else Karpathy's.

    Args:
        path: The JSON.
        images: Folder of the images, which holds ``train2014`` and ``val2014`` of COCO, or Flickr's files.
        split: Split of the rows.
        restval: Count "restval", the rest of COCO's validation images, as "train" (usual for retrieval).
        missing: "skip" leaves out rows whose image file is missing.

    Raises:
        UserError: If the file is missing or of another shape, or has no rows of that split.
    """

    layout: ClassVar[str] = """
        coco/dataset_coco.json             Karpathy's splits (caption_datasets.zip)
        coco/train2014/*.jpg               82,783 images (train2014.zip)
        coco/val2014/*.jpg                 40,504 images (val2014.zip)
        flickr30k/dataset_flickr30k.json   Karpathy's splits (caption_datasets.zip)
        flickr30k/flickr30k-images/*.jpg   31,783 images, of which 31,014 are used"""

    def __init__(
        self,
        path: str,
        images: str,
        split: Literal["train", "val", "test"] = "train",
        restval: bool = True,
        missing: Missing = "keep",
    ) -> None:
        file = Path(path)
        content = read_json(file)
        wanted = (split, "restval") if split == "train" and restval else (split,)
        records: list[Caption] = []
        seen, has_rest = set(), False
        for place, entry in entries(file, content, "images"):
            part = need_text(entry, "split", place)
            seen.add(part)
            if part not in wanted:
                continue
            has_rest |= part == "restval"
            identity = need_text(entry, "cocoid" if "cocoid" in entry else "imgid", place)
            folder = need_text(entry, "filepath", place) if "filepath" in entry else ""
            image = os.path.join(images, folder, need_text(entry, "filename", place))
            sentences = need_list(entry, "sentences", place)
            if not sentences:
                raise UserError(f"{place}: no sentences; give the image a caption, or delete the entry")
            records.extend((identity, image, need_text(sentence, "raw", place)) for sentence in sentences)
        if not records:
            raise UserError(f"{path}: no images of split {split!r}; it has {', '.join(sorted(seen))[:80]}")
        super().__init__(file, records, missing)
        assert isinstance(content, dict)  # or it would have no images
        name = str(content.get("dataset", "coco"))
        self.published = published(name, "train+restval" if has_rest else split)


class CocoCaptions(Captions):
    """Captions in COCO's own format: ``captions_val2017.json`` and the like.

    Args:
        path: The JSON, with ``images`` (id, file_name) and ``annotations`` (image_id, caption).
        images: Folder that the file names start from.
        missing: "skip" leaves out rows whose image file is missing.

    Raises:
        UserError: If the file is missing or of another shape, or a caption is of an unknown image.
    """

    layout: ClassVar[str] = """
        coco/annotations/captions_train2017.json, captions_val2017.json    (annotations_trainval2017.zip)
        coco/train2017/*.jpg, coco/val2017/*.jpg                           118,287 and 5,000 images"""

    def __init__(self, path: str, images: str, missing: Missing = "keep") -> None:
        file = Path(path)
        content = read_json(file)
        names = {
            need_value(entry, "id", place): need_text(entry, "file_name", place)
            for place, entry in entries(file, content, "images")
        }
        records: list[Caption] = []
        for place, entry in entries(file, content, "annotations"):
            identity = need_value(entry, "image_id", place)
            if identity not in names:
                raise UserError(f"{place}: image {shown(identity)} is not among the images; add or delete it")
            image = os.path.join(images, names[identity])
            records.append((str(identity), image, need_text(entry, "caption", place)))
        super().__init__(file, records, missing)


class Flickr30kTokens(Captions):
    """Flickr30k as its authors ship it: ``results_20130124.token``, lines ``name.jpg#number<tab>caption``.

    Args:
        path: The file.
        images: Folder of the images.
        names: File with the names of the images of a split, one a line, with or without ``.jpg``; None
            takes all.
        missing: "skip" leaves out rows whose image file is missing.

    Raises:
        UserError: If a file is missing, a line is of another shape, or nothing is left.
    """

    layout: ClassVar[str] = """
        flickr30k/results_20130124.token   158,915 captions (flickr30k.tar.gz)
        flickr30k/flickr30k-images/*.jpg   31,783 images"""

    def __init__(self, path: str, images: str, names: str | None = None, missing: Missing = "keep") -> None:
        from onepeace_pl.data.sources.columns import read_text

        wanted = None
        if names is not None:
            lines = read_text(Path(names)).split()
            wanted = {line if line.endswith(".jpg") else f"{line}.jpg" for line in lines}
        records: list[Caption] = []
        for number, line in enumerate(read_text(Path(path)).splitlines(), start=1):
            left, tab, caption = line.partition("\t")
            name, mark, _ = left.partition("#")
            if not (tab and mark):
                raise UserError(f"{path}:{number}: {line[:40]!r} is not name.jpg#number<tab>caption")
            if wanted is None or name in wanted:
                records.append((name.removesuffix(".jpg"), os.path.join(images, name), caption))
        super().__init__(Path(path), records, missing)
        self.published = published("flickr30k", "all") if wanted is None else None
