"""Retrieval galleries as tasks of mteb. The data are made here: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, get_args

from onepeace_pl.data.evaluation.gallery import Gallery
from onepeace_pl.data.loading.content import digest, raw_content
from onepeace_pl.data.source import Fields, ids_of, values_of
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.audio.decoding import open_audio
from onepeace_pl.modalities.base import modality_of
from onepeace_pl.modalities.image.decoding import open_image
from onepeace_pl.triworld import galleries
from onepeace_pl.triworld.language.captions import Templates
from onepeace_pl.triworld.optimum.galleries import Pair
from onepeace_pl.utils.libraries import importing

with importing():
    from datasets import Dataset
    from mteb.abstasks import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskCategory, TaskMetadata

LETTERS: Final = {"image": "i", "audio": "a", "text": "t"}
"""Letters of modalities in mteb's categories, in their order there: ``at2i``, ``it2a``."""

TRIWORLD: Final[dict[str, Pair]] = {
    "i2t": "image_text",
    "t2i": "image_text",
    "a2t": "audio_text",
    "t2a": "audio_text",
    "a2i": "audio_image",
    "i2a": "audio_image",
    "it2i": "image+text_image",
    "at2i": "audio+text_image",
    "it2a": "image+text_audio",
    "at2a": "audio+text_audio",
}
"""Gallery of each category of tasks on TriWorld."""

RATE: Final = 16_000  # of audio that comes without one, Hz


@dataclass(frozen=True)
class Side:
    """Distinct items of one side of a gallery.

    Attributes:
        fields: Its fields.
        keys: Key of each row; rows of equal key hold the same item.
        first_rows: First row of each item.
        item_of_row: Item of each row.
    """

    fields: tuple[str, ...]
    keys: list[Hashable]
    first_rows: list[int]
    item_of_row: list[int]

    @classmethod
    def of(cls, gallery: Gallery, fields: tuple[str, ...], ids: Sequence[str]) -> Self:
        """Return the items that :class:`~onepeace_pl.metrics.RetrievalMetric` counts."""
        keys: list[Hashable]
        if gallery.merge_duplicates:
            rows = (gallery.rows[row].fields for row in range(len(ids)))
            keys = [tuple(raw_content(row[name]) for name in fields) for row in rows]
        elif set(fields) <= set(gallery.one_per_id):
            keys = list(ids)
        else:
            keys = list(range(len(ids)))
        first_rows: dict[Hashable, int] = {}
        for row, key in enumerate(keys):
            first_rows.setdefault(key, row)
        item = {key: number for number, key in enumerate(first_rows)}
        return cls(fields, keys, list(first_rows.values()), [item[key] for key in keys])

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities of the fields."""
        return tuple(modality_of(name) for name in self.fields)

    @property
    def code(self) -> str:
        """Code of the side in mteb's categories, such as ``at``.

        Raises:
            UserError: mteb has no letter for a modality, or two fields are of one.
        """
        names = self.modalities
        unknown = [name for name in names if name not in LETTERS]
        if unknown or len(set(names)) < len(names):
            raise UserError(
                f"mteb has one each of {', '.join(LETTERS)} on a side; got {', '.join(self.fields)}"
            )
        return "".join(letter for name, letter in LETTERS.items() if name in names)


class GalleryTask(AbsTaskRetrieval):
    """Retrieval task of mteb: one direction of a gallery (:func:`gallery_tasks`).

    Items and positives are those of :class:`~onepeace_pl.metrics.RetrievalMetric`: rows of equal id are positives of
    each other, and items of equal content count once if the gallery merges duplicates. mteb's ``hit_rate_at_k`` is its
    R@k, as is ``recall_at_k`` where every query has one positive; ``ndcg_at_10`` is its nDCG@10.

    Args:
        gallery: The gallery.
        ids: Id of each row.
        queries: Items of one side.
        corpus: Items of the other.
    """

    metadata: TaskMetadata
    data_loaded: bool = False

    def __init__(self, gallery: Gallery, ids: Sequence[str], queries: Side, corpus: Side) -> None:
        super().__init__()
        self.gallery, self.ids, self.queries_side, self.corpus_side = gallery, ids, queries, corpus

    def load_data(self, num_proc: int | None = None, **kwargs: object) -> None:
        """Make queries, corpus and positives of the gallery's rows."""
        if self.data_loaded:
            return
        relevant: dict[str, set[int]] = {}  # by the id of rows
        for each, item in zip(self.ids, self.corpus_side.item_of_row, strict=True):
            relevant.setdefault(each, set()).add(item)
        positives: dict[str, dict[str, int]] = {}
        for each, item in zip(self.ids, self.queries_side.item_of_row, strict=True):
            positives.setdefault(str(item), {}).update({str(other): 1 for other in relevant[each]})
        data = {
            "queries": self._dataset(self.queries_side),
            "corpus": self._dataset(self.corpus_side),
            "relevant_docs": positives,
            "top_ranked": None,
        }
        self.dataset = {"default": {self.metadata.eval_splits[0]: data}}
        self.data_loaded = True

    def _dataset(self, side: Side) -> Dataset:
        rows = [self.gallery.rows[row].fields for row in side.first_rows]
        columns = {modality_of(name): [_value(name, fields) for fields in rows] for name in side.fields}
        return Dataset.from_dict({"id": [str(item) for item in range(len(rows))], **columns})


def gallery_tasks(gallery: Gallery, name: str, split: str = "test") -> list[GalleryTask]:
    """Return the tasks of a gallery's directions.

    Args:
        gallery: The gallery, for instance of :func:`~onepeace_pl.data.evaluation.gallery.pair_galleries`.
        name: Name of the tasks; category and ``Retrieval`` are appended.
        split: Name of the split in results.

    Raises:
        UserError: mteb has no category for the modalities, or a row has several values of one.
    """
    ids = [str(each) for each in ids_of(gallery.rows)]
    sides = [Side.of(gallery, fields, ids) for fields in (gallery.query, gallery.target)]
    directions = [sides, sides[::-1]] if gallery.both_directions else [sides]
    return [_task(gallery, name, split, ids, queries, corpus) for queries, corpus in directions]


def triworld_tasks(
    categories: Sequence[str] = tuple(TRIWORLD),
    split: str = "val",
    size: int = 256,
    image_size: int = 64,
    seconds: float = 1.0,
    seed: int = 0,
    templates: Templates = "train",
) -> list[GalleryTask]:
    """Return tasks on galleries of TriWorld (:func:`onepeace_pl.triworld.galleries`): ``TriWorldT2IRetrieval`` ...

    Args:
        categories: Categories of mteb: ``t2i`` is retrieval of images by texts.
        split: ``"val"`` or ``"test"``.
        size: Scenes in each gallery.
        image_size: Side of images in pixels.
        seconds: Duration of audio.
        seed: Seed of the world.
        templates: ``"held_out"`` for captions in templates that training never uses.

    Raises:
        UserError: There is no gallery of a category, or an option has an unknown value.
    """
    for category in categories:
        if category not in TRIWORLD:
            raise UserError(f"category {category!r}: TriWorld has {', '.join(TRIWORLD)}")
    found = galleries(
        list(dict.fromkeys(TRIWORLD[category] for category in categories)),
        split=split,
        size=size,
        image_size=image_size,
        seconds=seconds,
        seed=seed,
        templates=templates,
    )
    tasks = {
        task.metadata.category: task
        for gallery in found
        for task in gallery_tasks(gallery, "TriWorld", split)
    }
    return [tasks[category] for category in categories]


def _task(
    gallery: Gallery, name: str, split: str, ids: Sequence[str], queries: Side, corpus: Side
) -> GalleryTask:
    category = f"{queries.code}2{corpus.code}"
    if category not in get_args(TaskCategory):
        raise UserError(f"mteb has no category {category!r}: {queries.fields} -> {corpus.fields}")
    content = repr((ids, queries.keys, corpus.keys)).encode()
    metadata = TaskMetadata(
        name=f"{name}{category.upper()}Retrieval",
        description=f"Retrieval of {' and '.join(corpus.modalities)} by {' and '.join(queries.modalities)}.",
        # mteb's cache tells data sets apart by their revision
        dataset={"path": f"onepeace_pl/{name}", "revision": f"{digest([content]) % 2**64:016x}"},
        type="Any2AnyRetrieval",
        category=category,
        modalities=list(dict.fromkeys((*queries.modalities, *corpus.modalities))),
        eval_splits=[split],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
    )
    task_class = type(metadata.name, (GalleryTask,), {"metadata": metadata})  # mteb keeps it with the class
    task: GalleryTask = task_class(gallery, ids, queries, corpus)
    return task


def _value(name: str, fields: Fields) -> Any:
    """Return the value of a column of a data set: a text, a PIL image, or the samples of audio and their rate."""
    values = values_of(fields[name])
    if len(values) != 1:
        raise UserError(f"a row has {len(values)} values of {name}; an item of mteb has one")
    if modality_of(name) == "image":
        return open_image(values[0])
    if modality_of(name) == "audio":
        _, wave, rate = open_audio(values[0], RATE)
        return {"array": wave.numpy(), "sampling_rate": rate}
    return values[0]
