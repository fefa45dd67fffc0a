"""The law by which scenes are drawn: splits that share no picture, and combinations kept from training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args, overload

from onepeace_pl.triworld.world.draws import Draws, Stream
from onepeace_pl.triworld.world.factors import (
    BACKGROUNDS,
    COLOURS,
    DIRECTIONS,
    HELD_OUT_BACKGROUNDS,
    HELD_OUT_COLOURS,
    HELD_OUT_RHYTHMS,
    KINDS,
    MOST_OBJECTS,
    PLACES,
    RHYTHMS,
    SIZES,
    SPEEDS,
)
from onepeace_pl.triworld.world.layout import CENTRES, SHRINK, layouts
from onepeace_pl.triworld.world.scene import Scene, SceneObject

Novelty = Literal["exclude", "include", "visible", "audible"]
SPLITS: Final = ("train", "val", "test")
VARIANTS: Final = 6
_RADIUS: Final = {"small": (0.15, 0.18), "large": (0.215, 0.25)}
_MASK: Final = (1 << 64) - 1


@dataclass(frozen=True)
class Law:
    """Which scenes are possible: all factors are uniform and independent but for what is excluded here.

    Attributes:
        objects: Fewest and most objects of a scene; every number between is equally likely.
        novelty: ``"exclude"``: no combination that training never has (training's own law); ``"include"``: no
            condition; ``"visible"`` / ``"audible"``: at least one such combination can be seen / heard.
    """

    objects: tuple[int, int] = (1, 2)
    novelty: Novelty = "exclude"

    def __post_init__(self) -> None:
        fewest, most = self.objects
        if not 1 <= fewest <= most <= MOST_OBJECTS:
            raise ValueError(f"objects={self.objects!r}: give (fewest, most) between 1 and {MOST_OBJECTS}")
        if self.novelty not in get_args(Novelty):
            raise ValueError(f"novelty={self.novelty!r}: choose one of {', '.join(get_args(Novelty))}")


def scramble(value: int) -> int:
    """Return 64 bits that look unrelated to ``value`` (the finaliser of splitmix64)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


# A drawn object before its accidents: indices of kind, size, colour, place, rhythm.
Draft = tuple[int, int, int, int, int]

_NO_COLOUR: Final = frozenset((KINDS.index(k), COLOURS.index(c)) for k, c in HELD_OUT_COLOURS)
_NO_BACKGROUND: Final = frozenset((KINDS.index(k), BACKGROUNDS.index(b)) for k, b in HELD_OUT_BACKGROUNDS)
_NO_RHYTHM: Final = frozenset((KINDS.index(k), RHYTHMS.index(r)) for k, r in HELD_OUT_RHYTHMS)


def split_of(background: int, objects: Sequence[Draft]) -> str:
    """Return the split that owns all scenes with these visible factors: six of eight go to training.

    The choice depends on what is seen alone, so no picture of one split has its double in another.
    """
    key = background
    for kind, size, colour, place, _ in sorted(objects, key=lambda draft: draft[3]):
        key = scramble(key * 7919 + ((kind * 2 + size) * 8 + colour) * 9 + place + 1)
    return ("train", "train", "train", "train", "train", "train", "val", "test")[key >> 61]


def allowed(background: int, objects: Sequence[Draft], novelty: Novelty) -> bool:
    """Return whether a law with this novelty may draw these factors."""
    if novelty == "include":
        return True
    heard = any((draft[0], draft[4]) in _NO_RHYTHM for draft in objects)
    if novelty == "audible":
        return heard
    seen = any(
        (draft[0], background) in _NO_BACKGROUND or (draft[0], draft[2]) in _NO_COLOUR for draft in objects
    )
    return seen if novelty == "visible" else not (seen or heard)


def _furnish(draft: Draft, count: int, draws: Draws) -> SceneObject:
    kind, size, colour, place, rhythm = draft
    low, high = _RADIUS[SIZES[size]]
    radius = draws.uniform(low, high) * SHRINK[count]
    margin = radius * 0.98
    x = min(max(CENTRES[place % 3] + draws.uniform(-0.03, 0.03), margin), 1.0 - margin)
    y = min(max(CENTRES[place // 3] + draws.uniform(-0.03, 0.03), margin), 1.0 - margin)
    return SceneObject(
        kind=KINDS[kind],
        size=SIZES[size],
        colour=COLOURS[colour],
        place=PLACES[place],
        rhythm=RHYTHMS[rhythm],
        x=x,
        y=y,
        radius=radius,
        tilt=draws.uniform(-0.045, 0.045),
        stretch=draws.uniform(0.9, 1.1),
        mirrored=draws.chance(0.5),
        shade=draws.uniform(0.88, 1.1),
        distance=draws.uniform(0.2, 0.6),
        variant=draws.below(VARIANTS),
        gain=draws.uniform(0.75, 1.1),
        lead=draws.uniform(),
        pace=draws.uniform(0.92, 1.08),
    )


def draw_scene(seed: int, split: str, index: int, law: Law) -> Scene:
    """Return the scene that (seed, split, index) names under a law; the same on every machine.

    Raises:
        ValueError: The split is unknown, or training was asked for combinations that it never has.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: choose one of {', '.join(SPLITS)}")
    if split == "train" and law.novelty != "exclude":
        raise ValueError(
            f"novelty={law.novelty!r}: training never has novel scenes; use split 'val' or 'test'"
        )
    draws = Draws(seed, SPLITS.index(split), index, Stream.SCENE)
    count = law.objects[0] + draws.below(law.objects[1] - law.objects[0] + 1)
    while True:
        background = draws.below(len(BACKGROUNDS))
        places = draws.choice(layouts(count))
        drafts = [
            (
                draws.below(len(KINDS)),
                draws.below(2),
                draws.below(len(COLOURS)),
                place,
                draws.below(len(RHYTHMS)),
            )
            for place in places
        ]
        if allowed(background, drafts, law.novelty) and split_of(background, drafts) == split:
            break
    return compose(seed, split, index, background, drafts, draws)


def compose(
    seed: int, split: str, index: int, background: int, drafts: Sequence[Draft], draws: Draws
) -> Scene:
    """Return a scene with given factors (indices into the tables) and drawn accidents."""
    return Scene(
        seed=seed,
        split=split,
        index=index,
        background=BACKGROUNDS[background],
        objects=tuple(_furnish(draft, len(drafts), draws) for draft in drafts),
        light=draws.uniform(),
        brightness=draws.uniform(0.85, 1.1),
        texture=(draws.uniform(), draws.uniform()),
        hiss=0.002 + 0.05 * draws.uniform() * draws.uniform(),
        hiss_start=draws.uniform(),
        direction=draws.choice(DIRECTIONS),
        speed=draws.choice(SPEEDS),
    )


class World(Sequence[Scene]):
    """The first ``size`` scenes of a split, drawn when asked for."""

    def __init__(self, split: str, size: int, law: Law | None = None, seed: int = 0) -> None:
        if size < 0:
            raise ValueError(f"size={size}: give a number of scenes")
        if split not in SPLITS:
            raise ValueError(f"split={split!r}: choose one of {', '.join(SPLITS)}")
        self.split = split
        self.size = size
        self.law = law or Law()
        self.seed = seed

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> Scene: ...
    @overload
    def __getitem__(self, index: slice) -> list[Scene]: ...
    def __getitem__(self, index: int | slice) -> Scene | list[Scene]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.size))]
        if not -self.size <= index < self.size:
            raise IndexError(f"scene {index} of a world of {self.size}")
        return draw_scene(self.seed, self.split, index % self.size, self.law)
