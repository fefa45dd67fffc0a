"""A scene: the factors that are seen, heard and said, and the small accidents of its rendering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from onepeace_pl.triworld.world.factors import (
    HELD_OUT_BACKGROUNDS,
    HELD_OUT_COLOURS,
    HELD_OUT_RHYTHMS,
)

if TYPE_CHECKING:
    from onepeace_pl.triworld.language.expressions import Expression
    from onepeace_pl.triworld.language.questions import Question
    from onepeace_pl.triworld.picture.clip import Clip


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object: five factors, then accidents that no sentence speaks of.

    Attributes:
        kind: One of ``factors.KINDS``; a silhouette and a timbre.
        size: ``"small"`` or ``"large"``: drawn size and pitch register.
        colour: One of ``factors.COLOURS``.
        place: One of ``factors.PLACES``.
        rhythm: One of ``factors.RHYTHMS``.
        x: Centre, as a share of the picture's width from the left.
        y: Centre, as a share of the picture's height from the top.
        radius: As a share of the picture's side.
        tilt: Turn of the silhouette, in turns.
        stretch: Width over height.
        mirrored: Whether left and right of the silhouette are swapped.
        shade: Brightness of the colour, near 1.
        distance: From the viewer, 0 nearest to 1, for the depth rendering and for what hides what.
        variant: Which of the recorded notes of the timbre is used.
        gain: Loudness, near 1.
        lead: Share of the free time before the first note.
        pace: Length of the rhythm's gaps, near 1.
    """

    kind: str
    size: str
    colour: str
    place: str
    rhythm: str
    x: float
    y: float
    radius: float
    tilt: float
    stretch: float
    mirrored: bool
    shade: float
    distance: float
    variant: int
    gain: float
    lead: float
    pace: float

    @property
    def novel_visible(self) -> bool:
        """Whether training never shows this kind in this colour."""
        return (self.kind, self.colour) in HELD_OUT_COLOURS

    @property
    def novel_audible(self) -> bool:
        """Whether training never lets this kind sound in this rhythm."""
        return (self.kind, self.rhythm) in HELD_OUT_RHYTHMS


@dataclass(frozen=True, slots=True)
class Scene:
    """A background and one to four objects.

    Attributes:
        seed: Seed of the world.
        split: ``"train"``, ``"val"`` or ``"test"``.
        index: Number of the scene in its split.
        background: One of ``factors.BACKGROUNDS``.
        objects: In the order in which they begin to sound.
        light: Turn of the light's direction, in turns.
        brightness: Of the whole picture, near 1.
        texture: Where the background is cut from its canvas, (x, y) in [0, 1).
        hiss: Level of background noise, 1 is full scale.
        hiss_start: Where the noise is cut from its tape, in [0, 1).
        direction: Where the objects move in a clip; one of ``factors.DIRECTIONS``.
        speed: How fast they move; one of ``factors.SPEEDS``.
    """

    seed: int
    split: str
    index: int
    background: str
    objects: tuple[SceneObject, ...]
    light: float
    brightness: float
    texture: tuple[float, float]
    hiss: float
    hiss_start: float
    direction: str
    speed: str

    @property
    def id(self) -> str:
        """Name of the scene, unique in a world."""
        return f"{self.split}-{self.index}"

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds present, each once, in the order in which they sound."""
        return tuple(dict.fromkeys(thing.kind for thing in self.objects))

    @property
    def novel_visible(self) -> bool:
        """Whether the picture shows a kind in a colour or before a background that training never shows."""
        return any(
            thing.novel_visible or (thing.kind, self.background) in HELD_OUT_BACKGROUNDS
            for thing in self.objects
        )

    @property
    def novel_audible(self) -> bool:
        """Whether the sound holds a kind in a rhythm that training never plays."""
        return any(thing.novel_audible for thing in self.objects)

    @property
    def novel(self) -> bool:
        """Whether the scene holds any combination that training never has."""
        return self.novel_visible or self.novel_audible

    def factors(self) -> dict[str, str]:
        """Return factor -> value as text. Several objects' values are sorted and joined, factor by factor.

        ``order`` is there only where several kinds follow one another.
        """
        joined = {
            name: "+".join(sorted(getattr(thing, name) for thing in self.objects))
            for name in ("kind", "size", "colour", "place", "rhythm")
        }
        factors = {**joined, "count": str(len(self.objects)), "background": self.background}
        if len(self.kinds) > 1:
            factors["order"] = ">".join(thing.kind for thing in self.objects)
        return factors

    def picture(self, size: int = 64) -> npt.NDArray[np.uint8]:
        """Return the picture, (size, size, 3). See :func:`picture.render`."""
        from onepeace_pl.triworld.picture.picture import render

        return render(self, size)

    def sound(self, seconds: float = 1.0) -> npt.NDArray[np.float32]:
        """Return the sound at 16 kHz, (seconds * 16000,). See :func:`sound.synthesise`."""
        from onepeace_pl.triworld.sound.sound import synthesise

        return synthesise(self, seconds)

    def boxes(self, size: int = 64) -> npt.NDArray[np.float32]:
        """Return (objects, 4) corner boxes x0, y0, x1, y1 in pixels of the visible parts."""
        from onepeace_pl.triworld.picture.regions import boxes

        return boxes(self, size)

    def instance_masks(self, size: int = 64) -> npt.NDArray[np.bool_]:
        """Return (objects, size, size), True where an object is visible."""
        from onepeace_pl.triworld.picture.regions import instance_masks

        return instance_masks(self, size)

    def semantic_mask(self, size: int = 64) -> npt.NDArray[np.uint8]:
        """Return (size, size) class of every pixel, an index into ``regions.SEMANTIC_CLASSES``."""
        from onepeace_pl.triworld.picture.regions import semantic_mask

        return semantic_mask(self, size)

    def expressions(self) -> list[Expression]:
        """Return phrases that single out one object each."""
        from onepeace_pl.triworld.language.expressions import expressions

        return expressions(self)

    def questions(self) -> list[Question]:
        """Return questions about the scene, each with its answer and three wrong choices."""
        from onepeace_pl.triworld.language.questions import questions

        return questions(self)

    def clip(self, frames: int = 8, size: int = 64) -> Clip:
        """Return a clip in which the objects move. See :func:`clip.film`."""
        from onepeace_pl.triworld.picture.clip import film

        return film(self, frames, size)

    def depth(self, size: int = 64) -> npt.NDArray[np.float32]:
        """Return (size, size) distance from the viewer, 0 nearest to 1."""
        from onepeace_pl.triworld.picture.renderings import depth

        return depth(self, size)

    def motion(self, seconds: float = 2.0) -> npt.NDArray[np.float32]:
        """Return (6, seconds * 100) of a motion sensor: acceleration and turn about x, y, z at 100 Hz."""
        from onepeace_pl.triworld.picture.renderings import motion

        return motion(self, seconds)
