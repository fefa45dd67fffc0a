"""TriWorld as a source of rows: what the data module and the galleries read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from onepeace_pl.data.batches import Row
from onepeace_pl.triworld.audio.synthesis import check_seconds, synthesise
from onepeace_pl.triworld.audio.timbres import RATE
from onepeace_pl.triworld.image import regions, renderings
from onepeace_pl.triworld.image.render import check_size, render
from onepeace_pl.triworld.language.content import HABITS, Caption, Content, describe
from onepeace_pl.triworld.language.expressions import referring_expressions
from onepeace_pl.triworld.language.questions import questions_about
from onepeace_pl.triworld.language.sentence import Phrasing, write
from onepeace_pl.triworld.world.draws import Draws, Stream
from onepeace_pl.triworld.world.factors import KINDS
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import SPLITS, Law, Novelty, World

FIELDS: Final = ("image", "audio", "text", "depth", "motion")

# What a task may ask for beside the fields: name -> value for a scene and its picture's size.
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


class SceneRows:
    """Rows of given scenes.

    Args:
        scenes: The scenes; drawn when asked for if they are a :class:`World`.
        fields: Modalities of each row: any of image, audio, text, depth, motion.
        caption: What sentences speak of: what is ``"seen"``, what is ``"heard"`` or ``"both"``; ``"vague"``
            says kind, size and count alone, ``"background"`` nothing but the background.
        image_size: Side of pictures in pixels, 48 or more.
        seconds: Length of sounds, 1 to 10.
        vague: Share of sentences that are vague instead.
        phrasing: ``"known"`` for the frames of sentences that training uses, ``"new"`` for those kept back.
        labels: Names of what else a task needs, see ``LABELS``.
        seed: Of the choice of sentences.
        cache: Keep pictures and sounds in memory.
        cache_megabytes: Where to stop keeping them (in each loader's worker).
    """

    takes_epoch = True  # every epoch tells a scene in other words

    def __init__(
        self,
        scenes: Sequence[Scene],
        fields: Sequence[str] = ("image", "text"),
        caption: Caption = "seen",
        image_size: int = 64,
        seconds: float = 1.0,
        vague: float = 0.0,
        phrasing: Phrasing = "known",
        labels: Sequence[str] = (),
        seed: int = 0,
        cache: bool = True,
        cache_megabytes: int = 512,
    ) -> None:
        _check_known("fields", fields, FIELDS)
        _check_known("labels", labels, tuple(LABELS))
        _check_known("caption", (caption,), tuple(HABITS))
        _check_known("phrasing", (phrasing,), ("known", "new"))
        check_size(image_size)
        check_seconds(seconds)
        if not 0.0 <= vague <= 1.0:
            raise ValueError(f"vague={vague}: give a share between 0 and 1")
        self.scenes = scenes
        self.modalities = tuple(fields)
        self.caption: Caption = caption
        self.image_size = image_size
        self.seconds = seconds
        self.vague = vague
        self.phrasing: Phrasing = phrasing
        self.labels = tuple(labels)
        self.seed = seed
        self.cache = cache
        self.cache_megabytes = cache_megabytes
        self._kept: dict[tuple[str, int], npt.NDArray[Any]] = {}
        self._kept_bytes = 0

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, key: int | tuple[int, int]) -> Row:
        """Return a row by number, or by (epoch, number): every epoch has other sentences for its scenes."""
        epoch, index = (0, key) if isinstance(key, int | np.integer) else key
        scene = self.scenes[index]
        fields = {name: self._field(name, scene, epoch, index) for name in self.modalities}
        labels = {name: LABELS[name](scene, self.image_size) for name in self.labels}
        return Row(id=scene.id, fields=fields, labels=labels)

    def __getstate__(self) -> dict[str, Any]:
        # Workers start with an empty cache: pictures are quicker made than sent.
        return {**self.__dict__, "_kept": {}, "_kept_bytes": 0}

    def content(self, index: int, epoch: int = 0) -> Content:
        """Return what the sentence of a row says."""
        return self._content(self.scenes[index], epoch)[0]

    def text(self, index: int, epoch: int = 0) -> str:
        """Return the sentence of a row."""
        return self._text(self.scenes[index], epoch)

    def ids(self) -> Iterator[str]:
        """Yield the id of every row."""
        return (self.scenes[index].id for index in range(len(self)))

    def texts(self) -> Iterator[str]:
        """Yield all sentences of the first epoch, without making pictures or sounds."""
        return (self.text(index) for index in range(len(self)))

    def _content(self, scene: Scene, epoch: int) -> tuple[Content, Draws]:
        key = (self.seed, scene.seed, SPLITS.index(scene.split), scene.index, epoch)
        draws = Draws(*key, list(HABITS).index(self.caption), Stream.CAPTION)
        caption = "vague" if draws.chance(self.vague) else self.caption
        return describe(scene, HABITS[caption], draws), draws

    def _text(self, scene: Scene, epoch: int) -> str:
        content, draws = self._content(scene, epoch)
        return write(content, draws, self.phrasing)

    def _field(self, name: str, scene: Scene, epoch: int, index: int) -> Any:
        if name == "text":
            return self._text(scene, epoch)
        made = self._kept.get((name, index))
        if made is None:
            made = self._make(name, scene)
            if self.cache and self._kept_bytes + made.nbytes <= self.cache_megabytes * 2**20:
                self._kept[name, index] = made
                self._kept_bytes += made.nbytes
        if name == "audio":
            return (made * np.float32(1 / 32768), RATE)
        return made

    def _make(self, name: str, scene: Scene) -> npt.NDArray[Any]:
        if name == "image":
            return render(scene, self.image_size)
        if name == "audio":  # kept as 16-bit numbers, which hold it exactly
            return (synthesise(scene, self.seconds) * np.float32(32768)).astype(np.int16)
        if name == "depth":
            return renderings.depth(scene, self.image_size)
        return renderings.motion(scene, self.seconds)


class TriWorldSource(SceneRows):
    """Rows of generated scenes: a picture, a sound, a sentence; the same on every machine.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``. No picture of one split has its double in another.
        size: Number of scenes.
        fields: Modalities of each row: any of image, audio, text, depth, motion.
        caption: What sentences speak of: what is ``"seen"``, what is ``"heard"`` or ``"both"``; ``"vague"``
            says kind, size and count alone, ``"background"`` nothing but the background.
        image_size: Side of pictures in pixels, 48 or more.
        seconds: Length of sounds, 1 to 10.
        objects: Fewest and most objects of a scene, up to four.
        seed: Of the world, and of the choice of sentences.
        vague: Share of sentences that are vague, in the words and frames of those about sounds; None takes
            one in two for training sentences about what is seen, and none elsewhere.
        novelty: Combinations that training never has: ``"exclude"``, ``"include"``, or scenes with some that
            are ``"visible"`` or ``"audible"``; None excludes them in training and includes them elsewhere.
        phrasing: ``"known"`` for the frames of sentences that training uses, ``"new"`` for those kept back.
        labels: Names of what else a task needs, see ``LABELS``.
        cache: Keep pictures and sounds in memory.
        cache_megabytes: Where to stop keeping them (in each loader's worker).

    Raises:
        ValueError: An option has a value that is not named here.
    """

    def __init__(
        self,
        split: str = "train",
        size: int = 4096,
        fields: Sequence[str] = ("image", "text"),
        caption: Caption = "seen",
        image_size: int = 64,
        seconds: float = 1.0,
        objects: tuple[int, int] = (1, 2),
        seed: int = 0,
        vague: float | None = None,
        novelty: Novelty | None = None,
        phrasing: Phrasing = "known",
        labels: Sequence[str] = (),
        cache: bool = True,
        cache_megabytes: int = 512,
    ) -> None:
        training = split == "train"
        if vague is None:
            vague = 0.5 if training and caption == "seen" else 0.0
        law = Law((objects[0], objects[1]), novelty or ("exclude" if training else "include"))
        if training and law.novelty != "exclude":
            raise ValueError(
                f"novelty={novelty!r}: training never has novel scenes; use split 'val' or 'test'"
            )
        super().__init__(
            World(split, size, law, seed),
            fields=fields,
            caption=caption,
            image_size=image_size,
            seconds=seconds,
            vague=vague,
            phrasing=phrasing,
            labels=labels,
            seed=seed,
            cache=cache,
            cache_megabytes=cache_megabytes,
        )
        self.split = split
        self.size = size
        self.objects = (objects[0], objects[1])
        self.law = law

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of ``labels=("class", "kinds")``."""
        return KINDS


def _check_known(option: str, values: Sequence[str], known: Sequence[str]) -> None:
    for value in values:
        if value not in known:
            raise ValueError(f"{option}: {value!r} is unknown; choose from {', '.join(known)}")
