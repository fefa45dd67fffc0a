"""TriWorld as a data source: rows of sampled scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.data.source import Row, Source
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import modality_of
from onepeace_pl.triworld import sensors
from onepeace_pl.triworld.audio import RATE, check_seconds, synthesise
from onepeace_pl.triworld.image import regions
from onepeace_pl.triworld.image.render import check_size, render
from onepeace_pl.triworld.language.captions import (
    MENTION_RATES,
    Caption,
    Content,
    Templates,
    realise,
    sample_content,
)
from onepeace_pl.triworld.language.composition import ComposedCaptions, compose_captions
from onepeace_pl.triworld.language.expressions import referring_expressions
from onepeace_pl.triworld.language.questions import questions_about
from onepeace_pl.triworld.world.factors import KINDS
from onepeace_pl.triworld.world.laws import Law, Novelty
from onepeace_pl.triworld.world.numerics import KeyedRandom, RandomPurpose
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import SPLITS, World

MODALITIES: Final = ("image", "audio", "text", "depth", "motion")
CHANGE, COMPOSED, OTHER = "text:change", "text:composed", "image:other"
"""Fields of a composed query: words that change what the image or audio of the row shows, the caption of both, and the
image of another scene, of which the words speak."""
_COMPOSITION: Final = frozenset((CHANGE, COMPOSED, OTHER))
FURTHER_CAPTIONS: Final[dict[str, Caption]] = {f"text:{caption}": caption for caption in MENTION_RATES}
"""Fields of further captions of a row, by their type."""

# Labels: name -> function of a scene and the side of its image.
LABELS: Final[dict[str, Callable[[Scene, int], Any]]] = {
    "scene": lambda scene, size: scene,
    "novel": lambda scene, size: scene.novel,
    "factors": lambda scene, size: scene.factors(),
    "class": lambda scene, size: KINDS.index(scene.objects[0].kind),
    "kinds": lambda scene, size: [KINDS.index(thing.kind) for thing in scene.objects],
    "boxes": lambda scene, size: regions.boxes(scene, size),
    "instance_masks": lambda scene, size: regions.instance_masks(scene, size),
    "semantic_mask": lambda scene, size: regions.semantic_mask(scene, size),
    "expressions": lambda scene, size: referring_expressions(scene),
    "questions": lambda scene, size: questions_about(scene),
}


class SceneRows(Source):
    """Rows of given scenes.

    Args:
        scenes: The scenes; sampled lazily by a :class:`World`.
        modalities: Fields of each row: any of image, audio, text, depth, motion; a further caption of a type, such
            as ``text:objects``; ``text:change``, ``text:composed`` and ``image:other``
            (:mod:`onepeace_pl.triworld.language.composition`); those of ``shown``.
        caption: Type of captions: of the ``"image"``, of the ``"audio"`` or ``"audiovisual"``; ``"vague"`` mentions
            kind, size and count alone, ``"background"`` the background alone, ``"objects"`` kinds and sizes,
            ``"colours"`` the colours of objects.
        image_size: Side of images in pixels, 48 or more.
        seconds: Duration of audio, 1 to 10.
        vague: Fraction of captions that are vague instead.
        templates: ``"train"`` for the caption templates of training, ``"held_out"`` for those of evaluation.
        labels: Names of further labels, see ``LABELS``.
        seed: Seed of the captions.
        cache: Keep images and audio in memory.
        cache_megabytes: Size of the cache (of each loader's worker).
        shown: Field -> scenes that it shows instead of those of the rows: of ``image:reference``, of ``text``.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        modalities: Sequence[str] = ("image", "text"),
        caption: Caption = "image",
        image_size: int = 64,
        seconds: float = 1.0,
        vague: float = 0.0,
        templates: Templates = "train",
        labels: Sequence[str] = (),
        seed: int = 0,
        cache: bool = True,
        cache_megabytes: int = 512,
        shown: Mapping[str, Sequence[Scene]] = {},
    ) -> None:
        _check_known(
            "modalities", modalities, (*MODALITIES, *FURTHER_CAPTIONS, CHANGE, COMPOSED, OTHER, *shown)
        )
        _check_known("labels", labels, tuple(LABELS))
        _check_known("caption", (caption,), tuple(MENTION_RATES))
        _check_known("templates", (templates,), ("train", "held_out"))
        check_size(image_size)
        check_seconds(seconds)
        if not 0.0 <= vague <= 1.0:
            raise UserError(f"vague={vague}: give a fraction between 0 and 1")
        self.scenes = scenes
        self.modalities = tuple(modalities)
        self.caption: Caption = caption
        self.image_size = image_size
        self.seconds = seconds
        self.vague = vague
        self.templates: Templates = templates
        self.label_names = tuple(labels)
        self.seed = seed
        self.cache = cache
        self.cache_megabytes = cache_megabytes
        self.shown = dict(shown)
        self._cached: dict[tuple[str, int], npt.NDArray[Any]] = {}
        self._cached_bytes = 0

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int, /) -> Row:
        return self.training_row(index, 0)

    def training_row(self, index: int, epoch: int) -> Row:
        """Return a row of an epoch: every epoch has other captions."""
        scene = self.scenes[index]
        composed = self._composed(index, epoch) if _COMPOSITION.intersection(self.modalities) else None
        fields = {name: self._field(name, epoch, index, composed) for name in self.modalities}
        labels = {name: LABELS[name](scene, self.image_size) for name in self.label_names}
        return Row(id=scene.id, fields=fields, labels=labels)

    def __getstate__(self) -> dict[str, Any]:
        # Workers start with an empty cache: images are rendered faster than sent.
        return {**self.__dict__, "_cached": {}, "_cached_bytes": 0}

    def content(self, index: int, epoch: int = 0) -> Content:
        """Return the content of a row's caption."""
        return self._content(self._shown("text", index), epoch)[0]

    def text(self, index: int, epoch: int = 0) -> str:
        """Return the caption of a row."""
        return self._text(self._shown("text", index), epoch)

    def ids(self) -> Iterator[str]:
        """Yield the id of every row."""
        return (self.scenes[index].id for index in range(len(self)))

    def texts(self) -> Iterator[str]:
        """Yield all captions of the first epoch, without rendering."""
        return (self.text(index) for index in range(len(self)))

    def _content(self, scene: Scene, epoch: int) -> tuple[Content, KeyedRandom]:
        rng = self._random(scene, epoch, self.caption)
        caption = "vague" if rng.bernoulli(self.vague) else self.caption
        return sample_content(scene, MENTION_RATES[caption], rng), rng

    def _random(self, scene: Scene, epoch: int, caption: Caption) -> KeyedRandom:
        key = (self.seed, scene.seed, SPLITS.index(scene.split), scene.index, epoch)
        return KeyedRandom(*key, list(MENTION_RATES).index(caption), RandomPurpose.CAPTION)

    def _text(self, scene: Scene, epoch: int) -> str:
        content, rng = self._content(scene, epoch)
        return realise(content, rng, self.templates)

    def _further_caption(self, scene: Scene, epoch: int, caption: Caption) -> str:
        rng = self._random(scene, epoch, caption)
        return realise(sample_content(scene, MENTION_RATES[caption], rng), rng, self.templates)

    def _shown(self, name: str, index: int) -> Scene:
        return self.shown.get(name, self.scenes)[index]

    def _composed(self, index: int, epoch: int) -> ComposedCaptions:
        scene = self.scenes[index]
        rng = KeyedRandom(
            self.seed, scene.seed, SPLITS.index(scene.split), scene.index, epoch, RandomPurpose.COMPOSITION
        )
        return compose_captions(scene, self.scenes, "image" in self.modalities, rng, self.templates)

    def _field(self, name: str, epoch: int, index: int, composed: ComposedCaptions | None) -> Any:
        if composed is not None and name in _COMPOSITION:
            if name == OTHER:  # another one in every epoch
                return render(composed.other, self.image_size)
            return composed.change if name == CHANGE else composed.caption
        if name == "text":
            return self.text(index, epoch)
        if name in FURTHER_CAPTIONS and name not in self.shown:
            return self._further_caption(self.scenes[index], epoch, FURTHER_CAPTIONS[name])
        array = self._cached.get((name, index))
        if array is None:
            array = self._render(modality_of(name), self._shown(name, index))
            if self.cache and self._cached_bytes + array.nbytes <= self.cache_megabytes * 2**20:
                self._cached[name, index] = array
                self._cached_bytes += array.nbytes
        if modality_of(name) == "audio":
            return (array * np.float32(1 / 32768), RATE)
        return array

    def _render(self, name: str, scene: Scene) -> npt.NDArray[Any]:
        if name == "image":
            return render(scene, self.image_size)
        if name == "audio":  # cached as 16-bit integers, losslessly
            return (synthesise(scene, self.seconds) * np.float32(32768)).astype(np.int16)
        if name == "depth":
            return sensors.depth(scene, self.image_size)
        return sensors.motion(scene, self.seconds)


class TriWorldSource(SceneRows):
    """Rows of a split: image, audio and caption of each scene; the same on every machine.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``. No image of one split has a duplicate in another.
        size: Number of scenes.
        modalities: Modalities of each row: any of image, audio, text, depth, motion.
        caption: Type of captions: of the ``"image"``, of the ``"audio"`` or ``"audiovisual"``; ``"vague"`` mentions
            kind, size and count alone, ``"background"`` the background alone.
        image_size: Side of images in pixels, 48 or more.
        seconds: Duration of audio, 1 to 10.
        objects: Least and greatest number of objects of a scene, up to four.
        seed: Seed of scenes and captions.
        vague: Fraction of vague captions, in words and templates that image and audio captions share; None takes
            0.5 for image captions of training, and 0 elsewhere.
        novelty: Held-out combinations: ``"exclude"``, ``"include"``, or only scenes with ``"visible"`` or
            ``"audible"`` ones; None excludes them in training and includes them elsewhere.
        templates: ``"train"`` for the caption templates of training, ``"held_out"`` for those of evaluation.
        labels: Names of further labels, see ``LABELS``.
        cache: Keep images and audio in memory.
        cache_megabytes: Size of the cache (of each loader's worker).

    Raises:
        UserError: An option has an unknown value.
    """

    classes = KINDS  # of ``labels=("class", "kinds")``

    def __init__(
        self,
        split: str = "train",
        size: int = 4096,
        modalities: Sequence[str] = ("image", "text"),
        caption: Caption = "image",
        image_size: int = 64,
        seconds: float = 1.0,
        objects: tuple[int, int] = (1, 2),
        seed: int = 0,
        vague: float | None = None,
        novelty: Novelty | None = None,
        templates: Templates = "train",
        labels: Sequence[str] = (),
        cache: bool = True,
        cache_megabytes: int = 512,
    ) -> None:
        training = split == "train"
        if vague is None:
            vague = 0.5 if training and caption == "image" else 0.0
        law = Law((objects[0], objects[1]), novelty or ("exclude" if training else "include"))
        if training and law.novelty != "exclude":
            raise UserError(
                f"novelty={novelty!r}: training never has novel scenes; use split 'val' or 'test'"
            )
        super().__init__(
            World(split, size, law, seed),
            modalities=modalities,
            caption=caption,
            image_size=image_size,
            seconds=seconds,
            vague=vague,
            templates=templates,
            labels=labels,
            seed=seed,
            cache=cache,
            cache_megabytes=cache_megabytes,
        )
        self.split = split
        self.size = size
        self.objects = (objects[0], objects[1])
        self.law = law


def _check_known(option: str, values: Sequence[str], known: Sequence[str]) -> None:
    for value in values:
        if value not in known:
            raise UserError(f"{option}: {value!r} is unknown; choose from {', '.join(known)}")
