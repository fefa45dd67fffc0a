"""A scene: the factors that are seen, heard and said, and the small accidents of its rendering."""

from __future__ import annotations

from dataclasses import dataclass

from onepeace_pl.triworld.world.factors import (
    HELD_OUT_BACKGROUNDS,
    HELD_OUT_COLOURS,
    HELD_OUT_RHYTHMS,
)


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
