"""Captions of composed queries for training: words that change an image or a sound, and the caption of the result.

In natural data such triplets (reference, change, caption of the target) are written by people or a language model
(CIRR, arXiv 2108.04024; MagicLens, arXiv 2403.19651); here the contents of captions are known and can be put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from onepeace_pl.triworld.language.captions import (
    MENTION_RATES,
    Content,
    Templates,
    realise,
    sample_content,
)
from onepeace_pl.triworld.world.factors import HELD_OUT_BACKGROUNDS
from onepeace_pl.triworld.world.numerics import KeyedRandom
from onepeace_pl.triworld.world.scene import Scene

_OBJECTS = replace(MENTION_RATES["vague"], bare=0.0)
_TRIES = 20


@dataclass(frozen=True)
class ComposedCaptions:
    """Captions of one composed query.

    Attributes:
        change: Words that are read together with the image or audio of the row.
        caption: Caption of the image that both together describe.
        other: The scene of the words: what they say, its image shows.
    """

    change: str
    caption: str
    other: Scene


def compose_captions(
    scene: Scene, others: Sequence[Scene], seen: bool, rng: KeyedRandom, templates: Templates = "train"
) -> ComposedCaptions:
    """Return words of another scene that change a scene, and the caption of the result.

    A scene that is heard gets a background. One that is seen gets another background, or in one case of two other
    objects.

    Args:
        scene: The scene that the row shows.
        others: Scenes of which one gives the words.
        seen: Whether the row shows an image.
        rng: Random numbers of the row.
        templates: Caption templates.
    """
    keeps_background = seen and rng.bernoulli(0.5)
    for _ in range(_TRIES):
        other = others[rng.integer(len(others))]
        objects, ground = (other, scene) if keeps_background else (scene, other)
        if not any((kind, ground.background) in HELD_OUT_BACKGROUNDS for kind in objects.kinds):
            break
    else:
        objects = ground = scene
    rates = MENTION_RATES["image"] if seen and not keeps_background else _OBJECTS
    content = sample_content(objects, rates, rng)
    said = replace(content, background=None) if keeps_background else Content((), ground.background)
    return ComposedCaptions(
        realise(said, rng, templates),
        realise(replace(content, background=ground.background), rng, templates),
        objects if keeps_background else ground,
    )
