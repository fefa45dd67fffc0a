"""Composed queries: the parts of each, hard negatives, and the best achievable scores.

No part alone finds the target: in the grid of hard negatives every target shares with one other candidate what one part
tells, and with another one what the other part tells.

Shapes: N scenes of a gallery.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Final

import numpy as np

from onepeace_pl.triworld.language.captions import MENTION_RATES, Caption, Content
from onepeace_pl.triworld.optimum.retrieval import audio_image_scores, caption_scores
from onepeace_pl.triworld.world.factors import (
    BACKGROUNDS,
    COLOURS,
    HELD_OUT_BACKGROUNDS,
    KINDS,
    RHYTHMS,
    layouts,
)
from onepeace_pl.triworld.world.laws import Law
from onepeace_pl.triworld.world.numerics import Floats, KeyedRandom, RandomPurpose
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import SPLITS, compose, is_allowed, split_of

REFERENCE: Final = ":reference"
_HARD_FROM: Final = 1_000_000  # indices of composed scenes, beyond those of sampled ones
_REFERENCES_FROM: Final = 2_000_000
_TRIES: Final = 2000

Object = tuple[int, int, int | None]
"""Kind, size and colour, as indices into the tables; None for any colour."""


@dataclass(frozen=True)
class Cell:
    """What a scene of a grid of hard negatives must show; None for any background."""

    objects: tuple[Object, ...]
    background: int | None = None


Shown = Mapping[str, Sequence[Scene]]
"""By field the scenes that it shows instead of the targets."""

Part = Callable[[Sequence[Scene], Shown], Floats]
"""Targets and the scenes of other fields -> log odds (N, N) of targets given a part of each query."""


@dataclass(frozen=True)
class ComposedQuery:
    """A kind of composed query.

    Attributes:
        query: Fields of the query; ``image:reference`` is another image than the target's.
        target: Modality of the target.
        caption: Type of the caption.
        scenes: World seed, split, number and law -> target scenes, and the scenes of other fields.
        parts: What each field tells of the targets. Captions have their own scores
            (:func:`~onepeace_pl.triworld.optimum.retrieval.caption_scores`) unless named here.
        factors: Factors that the query tells.
    """

    query: tuple[str, ...]
    target: str
    caption: Caption
    scenes: Callable[[int, str, int, Law], tuple[list[Scene], Shown]]
    parts: Mapping[str, Part]
    factors: frozenset[str]

    def scores(
        self, scenes: Sequence[Scene], shown: Shown, contents: Sequence[Content], law: Law
    ) -> dict[str, Floats]:
        """Return (N, N) log odds of targets given each part of the query."""
        found = {name: part(scenes, shown) for name, part in self.parts.items()}
        if "text" in self.query and "text" not in found:
            rates = MENTION_RATES[self.caption]
            found["text"] = caption_scores(contents, scenes, rates, law, self.target)
        return found


def hard_scenes(seed: int, split: str, size: int, law: Law, coloured: bool = False) -> list[Scene]:
    """Return scenes with hard negatives, in groups of four: two sets of objects, each with the same two backgrounds.

    The objects of a set agree in kind and size, so that audio is ambiguous between two images, and a background
    between two others; together they are not. As far as possible no two scenes of the gallery agree in kinds, sizes
    and background. Colours, places and rhythms are sampled for each scene; with ``coloured`` groups are of eight, each
    with the same two sets of colours, too.
    """

    def grid(rng: KeyedRandom) -> list[Cell]:
        backgrounds = rng.shuffled(range(len(BACKGROUNDS)))[:2]
        count = law.objects[0] + rng.integer(law.objects[1] - law.objects[0] + 1)
        kinds = rng.shuffled(range(len(KINDS)))
        sets = [[(kinds.pop(), rng.integer(2)) for _ in range(count)] for _ in range(2)]
        colours: list[list[int | None]] = [[None] * count]
        if coloured:
            drawn = rng.shuffled(range(len(COLOURS)))
            colours = [[drawn.pop() for _ in range(count)] for _ in range(2)]
        return [
            Cell(tuple((*each, colour) for each, colour in zip(things, shades, strict=True)), background)
            for things in sets
            for background in backgrounds
            for shades in colours
        ]

    return _grids(seed, split, size, law, grid)


def _pairs_of_objects(seed: int, split: str, size: int, law: Law) -> list[Scene]:
    """Return scenes of two objects, in groups of four: two first objects, each with the same two second ones."""

    def grid(rng: KeyedRandom) -> list[Cell]:
        kinds = rng.shuffled(range(len(KINDS)))
        objects: list[Object] = [(kinds.pop(), rng.integer(2), None) for _ in range(4)]
        return [Cell(pair) for pair in product(objects[:2], objects[2:])]

    return _grids(seed, split, size, law, grid)


def _grids(
    seed: int, split: str, size: int, law: Law, grid: Callable[[KeyedRandom], list[Cell]]
) -> list[Scene]:
    scenes: list[Scene] = []
    used: set[tuple[object, ...]] = set()
    group = 0
    while len(scenes) < size:
        rng = KeyedRandom(seed, SPLITS.index(split), group, RandomPurpose.GALLERY)
        group += 1
        cells = grid(rng)
        keys = {(tuple(sorted(cell.objects, key=str)), cell.background) for cell in cells}
        if keys & used and group < _TRIES:
            continue
        made: list[Scene] = []
        for cell in cells:
            scene = _scene(seed, split, _HARD_FROM + len(scenes) + len(made), cell, law, rng)
            if scene is None:
                break
            made.append(scene)
        if len(made) == len(cells):
            used |= keys
            scenes.extend(made)
    return scenes[:size]


def _scene(seed: int, split: str, index: int, cell: Cell, law: Law, rng: KeyedRandom) -> Scene | None:
    """Return a scene as a cell of a grid asks; None where its combinations are held out of training."""
    for _ in range(200):
        places = rng.choice(layouts(len(cell.objects)))
        drafts = [
            (
                kind,
                size,
                rng.integer(len(COLOURS)) if colour is None else colour,
                place,
                rng.integer(len(RHYTHMS)),
            )
            for (kind, size, colour), place in zip(cell.objects, places, strict=True)
        ]
        background = rng.integer(len(BACKGROUNDS)) if cell.background is None else cell.background
        if is_allowed(background, drafts, law.novelty) and split_of(background, drafts) == split:
            return compose(seed, split, index, background, drafts, rng)
    return None


def _elsewhere(scene: Scene, split: str, law: Law) -> Scene:
    """Return a scene with the same background, and any number of objects of other kinds."""
    rng = KeyedRandom(scene.seed, SPLITS.index(split), scene.index, _REFERENCES_FROM, RandomPurpose.GALLERY)
    others = [number for number, kind in enumerate(KINDS) if kind not in scene.kinds]
    while True:
        count = law.objects[0] + rng.integer(law.objects[1] - law.objects[0] + 1)
        kinds = rng.shuffled(others)[:count]
        objects: tuple[Object, ...] = tuple((kind, rng.integer(2), None) for kind in kinds)
        cell = Cell(objects, BACKGROUNDS.index(scene.background))
        found = _scene(scene.seed, split, _REFERENCES_FROM + scene.index, cell, law, rng)
        if found is not None:
            return found


def _alone(scene: Scene, which: int, split: str, law: Law) -> Scene:
    """Return another scene with one of a scene's objects: the same kind and size, all else sampled."""
    rng = KeyedRandom(
        scene.seed, SPLITS.index(split), scene.index, _REFERENCES_FROM + 1 + which, RandomPurpose.GALLERY
    )
    thing = _objects(scene)[which]
    while True:
        cell = Cell(((KINDS.index(thing[0]), ("small", "large").index(thing[1]), None),))
        found = _scene(scene.seed, split, _REFERENCES_FROM + scene.index, cell, law, rng)
        if found is not None:
            return found


def _objects(scene: Scene) -> list[tuple[str, str]]:
    """Return kinds and sizes in the order in which grids list the objects: that of the scene's composition."""
    return [(thing.kind, thing.size) for thing in scene.objects]


def _with_background(
    seed: int, split: str, size: int, law: Law, coloured: bool = False
) -> tuple[list[Scene], Shown]:
    scenes = hard_scenes(seed, split, size, law, coloured)
    return scenes, {f"image{REFERENCE}": [_elsewhere(scene, split, law) for scene in scenes]}


def _in_parts(modality: str) -> Callable[[int, str, int, Law], tuple[list[Scene], Shown]]:
    def scenes_of(seed: int, split: str, size: int, law: Law) -> tuple[list[Scene], Shown]:
        scenes = _pairs_of_objects(seed, split, size, law)
        return scenes, {
            f"{modality}{REFERENCE}": [_alone(scene, 0, split, law) for scene in scenes],
            "text": [_alone(scene, 1, split, law) for scene in scenes],
        }

    return scenes_of


def _sounds(scenes: Sequence[Scene], shown: Shown) -> Floats:
    return audio_image_scores(scenes, scenes)


def _backgrounds(scenes: Sequence[Scene], shown: Shown) -> Floats:
    """Return the log odds of targets given an image with the same background and objects of other kinds.

    Each target would have had as many such images as there are ways to choose the objects among the kinds that it has
    not, and that are allowed in front of its background.
    """
    allowed = {
        ground: sum((kind, ground) not in HELD_OUT_BACKGROUNDS for kind in KINDS) for ground in BACKGROUNDS
    }

    def score(reference: Scene, target: Scene) -> float:
        if reference.background != target.background or set(reference.kinds) & set(target.kinds):
            return -np.inf
        return -math.log(math.perm(allowed[target.background] - len(target.kinds), len(reference.objects)))

    return np.array([[score(each, target) for target in scenes] for each in shown[f"image{REFERENCE}"]])


def _containing(name: str) -> Part:
    """Return the log odds of targets given one of their objects, which a field shows or names."""

    def scores(scenes: Sequence[Scene], shown: Shown) -> Floats:
        targets = [_objects(scene) for scene in scenes]
        asked = [_objects(scene)[0] for scene in shown[name]]
        return np.array([[0.0 if thing in target else -np.inf for target in targets] for thing in asked])

    return scores


_OBJECTS: Final = frozenset({"kind", "size", "count"})
_BACKGROUND: Final = frozenset({"background"})

COMPOSED: Final[dict[str, ComposedQuery]] = {
    "image+text_image": ComposedQuery(
        (f"image{REFERENCE}", "text"),
        "image",
        "objects",
        _with_background,
        {f"image{REFERENCE}": _backgrounds},
        _OBJECTS | _BACKGROUND,
    ),
    "audio+text_image": ComposedQuery(
        ("audio", "text"),
        "image",
        "background",
        lambda *law: (hard_scenes(*law), {}),
        {"audio": _sounds},
        _OBJECTS | _BACKGROUND,
    ),
    "audio+image_image": ComposedQuery(
        ("audio", f"image{REFERENCE}"),
        "image",
        "background",
        _with_background,
        {"audio": _sounds, f"image{REFERENCE}": _backgrounds},
        _OBJECTS | _BACKGROUND,
    ),
    "audio+image+text_image": ComposedQuery(
        ("audio", f"image{REFERENCE}", "text"),
        "image",
        "colours",
        partial(_with_background, coloured=True),
        {"audio": _sounds, f"image{REFERENCE}": _backgrounds},
        _OBJECTS | _BACKGROUND | {"colour"},
    ),
    "image+text_audio": ComposedQuery(
        (f"image{REFERENCE}", "text"),
        "audio",
        "objects",
        _in_parts("image"),
        {f"image{REFERENCE}": _containing(f"image{REFERENCE}"), "text": _containing("text")},
        _OBJECTS,
    ),
    "audio+text_audio": ComposedQuery(
        (f"audio{REFERENCE}", "text"),
        "audio",
        "objects",
        _in_parts("audio"),
        {f"audio{REFERENCE}": _containing(f"audio{REFERENCE}"), "text": _containing("text")},
        _OBJECTS,
    ),
}
"""Composed queries by gallery, with the scenes and scores of each.

* ``image+text_image``: the background of an image with objects that words name.
* ``audio+text_image``: objects that are heard, with a background that words name.
* ``audio+image_image``: objects that are heard, with the background of an image.
* ``audio+image+text_image``: the same, and words name the colours.
* ``image+text_audio``, ``audio+text_audio``: one object is seen or heard, the other one named; both sound.
"""
