"""The drawn parts of every kind of object, on coordinates where the object fills the unit circle.

A part is a signed distance and a tone: 0 keeps the object's colour, towards -1 it darkens, towards +1 it
turns ivory. Parts are listed back to front.
"""

from collections.abc import Callable
from typing import Final

from onepeace_pl.triworld.image.shapes import (
    both,
    box,
    capsule,
    circle,
    either,
    ellipse,
    polygon,
    ring,
    without,
)
from onepeace_pl.triworld.world.pinned import Floats

Part = tuple[Floats, float]
DARK: Final = -0.82
IVORY: Final = 0.85


def _bell(u: Floats, v: Floats) -> list[Part]:
    skirt = polygon(
        u, v, [(-0.42, -0.35), (0.42, -0.35), (0.52, 0.2), (0.82, 0.6), (-0.82, 0.6), (-0.52, 0.2)]
    )
    return [
        (ring(u, v, (0.0, -0.84), 0.14, 0.055), -0.3),
        (circle(u, v, (0.0, 0.74), 0.18), DARK),
        (either(circle(u, v, (0.0, -0.33), 0.425), skirt), 0.0),
        (box(u, v, (0.0, 0.55), (0.86, 0.09), 0.08), -0.3),
        (both(box(u, v, (0.0, -0.02), (0.6, 0.045)), skirt), 0.45),
    ]


def _drum(u: Floats, v: Floats) -> list[Part]:
    wall = either(box(u, v, (0.0, 0.2), (0.8, 0.42)), ellipse(u, v, (0.0, 0.62), (0.8, 0.26)))
    lacing = either(
        *(capsule(u, v, (x, -0.1), (x + 0.2, 0.72), 0.025) for x in (-0.7, -0.3, 0.1, 0.5)),
        *(capsule(u, v, (x, -0.1), (x - 0.2, 0.72), 0.025) for x in (-0.5, -0.1, 0.3, 0.7)),
    )
    return [
        (wall, 0.0),
        (both(lacing, wall), 0.55),
        (both(ring(u, v, (0.0, -2.75), 3.4, 0.06), wall), -0.45),
        (ellipse(u, v, (0.0, -0.22), (0.8, 0.27)), -0.45),
        (ellipse(u, v, (0.0, -0.24), (0.72, 0.21)), IVORY),
        (capsule(u, v, (-0.1, -0.25), (-0.78, -0.86), 0.045), -0.6),
        (capsule(u, v, (0.12, -0.25), (0.72, -0.9), 0.045), -0.6),
        (circle(u, v, (-0.1, -0.25), 0.09), -0.6),
        (circle(u, v, (0.12, -0.25), 0.09), -0.6),
    ]


def _bird(u: Floats, v: Floats) -> list[Part]:
    return [
        (capsule(u, v, (-0.1, 0.5), (-0.02, 0.9), 0.04), DARK),
        (capsule(u, v, (0.16, 0.5), (0.24, 0.9), 0.04), DARK),
        (polygon(u, v, [(-0.4, -0.05), (-1.0, -0.35), (-0.92, 0.1), (-0.4, 0.3)]), -0.3),
        (polygon(u, v, [(0.66, -0.58), (1.02, -0.38), (0.66, -0.26)]), 0.6),
        (ellipse(u, v, (0.02, 0.16), (0.62, 0.42), -0.35), 0.0),
        (circle(u, v, (0.5, -0.4), 0.3), 0.0),
        (ellipse(u, v, (0.28, 0.28), (0.24, 0.24)), 0.4),
        (ellipse(u, v, (-0.14, 0.08), (0.42, 0.22), 0.25), -0.4),
        (circle(u, v, (0.58, -0.46), 0.095), IVORY),
        (circle(u, v, (0.6, -0.46), 0.055), DARK),
    ]


def _horn(u: Floats, v: Floats) -> list[Part]:
    loop = without(box(u, v, (-0.22, 0.26), (0.5, 0.3), 0.28), box(u, v, (-0.22, 0.26), (0.36, 0.16), 0.15))
    flare = polygon(u, v, [(0.1, -0.1), (0.55, -0.24), (0.9, -0.6), (0.9, 0.56), (0.55, 0.2), (0.1, 0.06)])
    return [
        (either(*(box(u, v, (x, -0.2), (0.075, 0.26), 0.04) for x in (-0.46, -0.24, -0.02))), -0.35),
        (loop, -0.12),
        (capsule(u, v, (-0.86, -0.02), (0.3, -0.02), 0.085), 0.0),
        (flare, 0.0),
        (box(u, v, (-0.92, -0.02), (0.07, 0.15), 0.05), -0.45),
        (ellipse(u, v, (0.88, -0.02), (0.12, 0.58)), -0.5),
    ]


def _clock(u: Floats, v: Floats) -> list[Part]:
    marks = either(
        box(u, v, (0.0, -0.4), (0.04, 0.08)),
        box(u, v, (0.0, 0.56), (0.04, 0.08)),
        box(u, v, (-0.48, 0.08), (0.08, 0.04)),
        box(u, v, (0.48, 0.08), (0.08, 0.04)),
    )
    return [
        (capsule(u, v, (-0.45, 0.7), (-0.62, 0.92), 0.08), -0.5),
        (capsule(u, v, (0.45, 0.7), (0.62, 0.92), 0.08), -0.5),
        (ellipse(u, v, (-0.5, -0.66), (0.3, 0.22), -0.8), -0.25),
        (ellipse(u, v, (0.5, -0.66), (0.3, 0.22), 0.8), -0.25),
        (box(u, v, (0.0, -0.78), (0.06, 0.14), 0.03), -0.5),
        (circle(u, v, (0.0, 0.08), 0.78), 0.0),
        (circle(u, v, (0.0, 0.08), 0.6), IVORY),
        (marks, DARK),
        (capsule(u, v, (0.0, 0.08), (0.02, -0.3), 0.05), DARK),
        (capsule(u, v, (0.0, 0.08), (0.3, 0.22), 0.05), DARK),
    ]


def _bee(u: Floats, v: Floats) -> list[Part]:
    body = ellipse(u, v, (-0.12, 0.22), (0.66, 0.42))
    stripes = either(*(box(u, v, (x, 0.22), (0.085, 0.6)) for x in (-0.52, -0.2, 0.12)))
    return [
        (polygon(u, v, [(-0.7, 0.08), (-1.02, 0.24), (-0.7, 0.38)]), DARK),
        (ellipse(u, v, (-0.36, -0.4), (0.48, 0.24), 0.9), 0.75),
        (ellipse(u, v, (0.14, -0.42), (0.5, 0.26), -1.5), 0.75),
        (capsule(u, v, (0.66, 0.0), (0.78, -0.36), 0.035), DARK),
        (capsule(u, v, (0.76, 0.04), (0.98, -0.24), 0.035), DARK),
        (body, 0.0),
        (both(stripes, body), DARK),
        (circle(u, v, (0.6, 0.2), 0.31), -0.15),
        (circle(u, v, (0.7, 0.12), 0.09), IVORY),
        (circle(u, v, (0.72, 0.12), 0.05), DARK),
    ]


def _frog(u: Floats, v: Floats) -> list[Part]:
    smile = both(ring(u, v, (0.0, -0.12), 0.5, 0.035), box(u, v, (0.0, 0.4), (0.42, 0.3)))
    return [
        (ellipse(u, v, (-0.68, 0.5), (0.32, 0.36)), -0.3),
        (ellipse(u, v, (0.68, 0.5), (0.32, 0.36)), -0.3),
        (ellipse(u, v, (-0.62, 0.84), (0.34, 0.1)), -0.3),
        (ellipse(u, v, (0.62, 0.84), (0.34, 0.1)), -0.3),
        (ellipse(u, v, (0.0, 0.26), (0.7, 0.58)), 0.0),
        (ellipse(u, v, (0.0, 0.62), (0.42, 0.22)), 0.45),
        (circle(u, v, (-0.42, -0.42), 0.28), 0.0),
        (circle(u, v, (0.42, -0.42), 0.28), 0.0),
        (circle(u, v, (-0.42, -0.44), 0.18), IVORY),
        (circle(u, v, (0.42, -0.44), 0.18), IVORY),
        (circle(u, v, (-0.4, -0.44), 0.09), DARK),
        (circle(u, v, (0.44, -0.44), 0.09), DARK),
        (smile, DARK),
    ]


def _kettle(u: Floats, v: Floats) -> list[Part]:
    pot = both(ellipse(u, v, (-0.08, 0.34), (0.62, 0.6)), box(u, v, (0.0, 0.2), (1.0, 0.6)))
    handle = both(ring(u, v, (-0.08, -0.2), 0.5, 0.065), box(u, v, (-0.08, -0.55), (0.7, 0.42)))
    return [
        (handle, -0.6),
        (
            polygon(
                u, v, [(0.3, 0.3), (0.7, -0.24), (1.0, -0.3), (0.98, -0.16), (0.84, -0.08), (0.52, 0.52)]
            ),
            -0.15,
        ),
        (pot, 0.0),
        (both(box(u, v, (0.0, 0.7), (0.8, 0.1)), pot), -0.4),
        (ellipse(u, v, (-0.08, -0.2), (0.32, 0.1)), -0.35),
        (circle(u, v, (-0.08, -0.34), 0.1), DARK),
        (ellipse(u, v, (-0.36, 0.16), (0.1, 0.2), 0.4), 0.5),
    ]


def _guitar(u: Floats, v: Floats) -> list[Part]:
    waist = capsule(u, v, (-0.3, 0.38), (-0.04, 0.06), 0.27)
    return [
        (capsule(u, v, (-0.05, 0.08), (0.72, -0.72), 0.075), -0.5),
        (capsule(u, v, (0.72, -0.74), (0.86, -0.88), 0.13), -0.25),
        (either(circle(u, v, (-0.4, 0.46), 0.5), circle(u, v, (-0.02, 0.03), 0.36), waist), 0.0),
        (circle(u, v, (-0.12, 0.16), 0.17), DARK),
        (capsule(u, v, (-0.62, 0.46), (-0.38, 0.7), 0.05), DARK),
        (capsule(u, v, (-0.5, 0.58), (0.7, -0.72), 0.022), 0.7),
    ]


def _cat(u: Floats, v: Floats) -> list[Part]:
    left = polygon(u, v, [(-0.78, -0.95), (-0.08, -0.5), (-0.76, 0.0)])
    right = polygon(u, v, [(0.78, -0.95), (0.08, -0.5), (0.76, 0.0)])
    whiskers = either(
        *(capsule(u, v, (side * 0.3, 0.36), (side * 1.0, y), 0.022) for side in (-1, 1) for y in (0.2, 0.5))
    )
    return [
        (either(left, right), 0.0),
        (polygon(u, v, [(-0.68, -0.72), (-0.3, -0.48), (-0.66, -0.2)]), 0.5),
        (polygon(u, v, [(0.68, -0.72), (0.3, -0.48), (0.66, -0.2)]), 0.5),
        (ellipse(u, v, (0.0, 0.18), (0.82, 0.68)), 0.0),
        (ellipse(u, v, (-0.34, 0.02), (0.17, 0.15)), IVORY),
        (ellipse(u, v, (0.34, 0.02), (0.17, 0.15)), IVORY),
        (ellipse(u, v, (-0.34, 0.02), (0.06, 0.14)), DARK),
        (ellipse(u, v, (0.34, 0.02), (0.06, 0.14)), DARK),
        (ellipse(u, v, (0.0, 0.45), (0.32, 0.2)), 0.45),
        (polygon(u, v, [(-0.12, 0.28), (0.12, 0.28), (0.0, 0.42)]), DARK),
        (whiskers, -0.7),
    ]


def _phone(u: Floats, v: Floats) -> list[Part]:
    base = polygon(u, v, [(-0.4, -0.28), (0.4, -0.28), (0.82, 0.74), (-0.82, 0.74)])
    holes = either(
        *(
            circle(u, v, p, 0.06)
            for p in ((-0.2, 0.2), (0.2, 0.2), (0.0, 0.1), (0.0, 0.5), (-0.2, 0.4), (0.2, 0.4))
        )
    )
    grip = both(ring(u, v, (0.0, 0.42), 1.1, 0.13), box(u, v, (0.0, -0.6), (0.78, 0.42)))
    return [
        (box(u, v, (0.0, -0.3), (0.14, 0.28)), -0.45),
        (base, 0.0),
        (box(u, v, (0.0, 0.76), (0.88, 0.09), 0.06), -0.45),
        (circle(u, v, (0.0, 0.3), 0.36), IVORY),
        (holes, DARK),
        (grip, -0.2),
        (ellipse(u, v, (-0.74, -0.26), (0.25, 0.2)), -0.3),
        (ellipse(u, v, (0.74, -0.26), (0.25, 0.2)), -0.3),
    ]


def _rattle(u: Floats, v: Floats) -> list[Part]:
    head = ellipse(u, v, (0.24, -0.36), (0.62, 0.5), -1.0)
    band = both(capsule(u, v, (-0.3, -0.5), (0.42, 0.22), 0.07), head)
    dots = either(
        *(
            circle(u, v, p, 0.085)
            for p in ((0.02, -0.56), (0.3, -0.68), (0.34, -0.3), (0.58, -0.42), (0.6, -0.66))
        )
    )
    return [
        (capsule(u, v, (-0.16, 0.08), (-0.74, 0.78), 0.105), -0.6),
        (circle(u, v, (-0.76, 0.8), 0.15), -0.6),
        (head, 0.0),
        (band, -0.5),
        (dots, IVORY),
    ]


SILHOUETTES: Final[dict[str, Callable[[Floats, Floats], list[Part]]]] = {
    "bell": _bell,
    "drum": _drum,
    "bird": _bird,
    "horn": _horn,
    "clock": _clock,
    "bee": _bee,
    "frog": _frog,
    "kettle": _kettle,
    "guitar": _guitar,
    "cat": _cat,
    "phone": _phone,
    "rattle": _rattle,
}
