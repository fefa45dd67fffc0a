"""Scene description: the factors of variation, and nuisance variables of the rendering."""

from __future__ import annotations

from dataclasses import dataclass

from onepeace_pl.triworld.world.factors import (
    HELD_OUT_BACKGROUNDS,
    HELD_OUT_COLOURS,
    HELD_OUT_RHYTHMS,
)


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object: five factors, then nuisance variables that no caption mentions.

    Attributes:
        kind: One of ``factors.KINDS``: object class; it has a shape and a timbre.
        size: ``"small"`` or ``"large"``: drawn size and pitch register.
        colour: One of ``factors.COLOURS``.
        place: One of ``factors.PLACES``.
        rhythm: One of ``factors.RHYTHMS``.
        x: Centre, as a fraction of the image's width from the left.
        y: Centre, as a fraction of the image's height from the top.
        radius: Radius as a fraction of the image's side.
        tilt: Rotation, in turns.
        stretch: Aspect ratio, width over height.
        mirrored: Horizontal flip.
        shade: Brightness of the colour, near 1.
        distance: Distance from the viewer, 0 nearest to 1, for depth maps and occlusion.
        variant: Note of the timbre.
        gain: Loudness, near 1.
        lead: Fraction of the free time before the first note.
        pace: Factor of the rhythm's gaps, near 1.
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
        """True if this kind in this colour is held out of training."""
        return (self.kind, self.colour) in HELD_OUT_COLOURS

    @property
    def novel_audible(self) -> bool:
        """True if this kind in this rhythm is held out of training."""
        return (self.kind, self.rhythm) in HELD_OUT_RHYTHMS


@dataclass(frozen=True, slots=True)
class Scene:
    """A background and one to four objects.

    Attributes:
        seed: Seed of the world.
        split: ``"train"``, ``"val"`` or ``"test"``.
        index: Number of the scene in its split.
        background: One of ``factors.BACKGROUNDS``.
        objects: In order of their first note.
        light: Direction of the light, in turns.
        brightness: Brightness of the whole image, near 1.
        texture: Offset of the background's crop in its canvas, (x, y) in [0, 1).
        hiss: Level of background noise, 1 is full scale.
        hiss_start: Offset of the noise's crop, in [0, 1).
        direction: Motion in a video clip; one of ``factors.DIRECTIONS``.
        speed: Speed of the motion; one of ``factors.SPEEDS``.
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
        """Distinct kinds, in order of their first note."""
        return tuple(dict.fromkeys(thing.kind for thing in self.objects))

    @property
    def novel_visible(self) -> bool:
        """True if a visible combination of the scene is held out of training."""
        return any(
            thing.novel_visible or (thing.kind, self.background) in HELD_OUT_BACKGROUNDS
            for thing in self.objects
        )

    @property
    def novel_audible(self) -> bool:
        """True if an audible combination of the scene is held out of training."""
        return any(thing.novel_audible for thing in self.objects)

    @property
    def novel(self) -> bool:
        """True if any combination of the scene is held out of training."""
        return self.novel_visible or self.novel_audible

    def factors(self) -> dict[str, str]:
        """Return factor -> value as text; values of several objects are sorted and joined.

        ``order`` is present only in scenes of several kinds.
        """
        joined = {
            name: "+".join(sorted(getattr(thing, name) for thing in self.objects))
            for name in ("kind", "size", "colour", "place", "rhythm")
        }
        factors = {**joined, "count": str(len(self.objects)), "background": self.background}
        if len(self.kinds) > 1:
            factors["order"] = ">".join(thing.kind for thing in self.objects)
        return factors
