"""Vector drawings of every kind of object, as signed distance fields (SDF).

Distances are negative inside, positive outside, in the units of the coordinates ``u`` (to the right) and ``v``
(down), on which an object fills the unit circle. A part of a drawing is a signed distance and a tone: 0 keeps the
object's colour, towards -1 it darkens, towards +1 it turns ivory. Parts are listed back to front.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from onepeace_pl.triworld.world.numerics import Floats

Point = tuple[float, float]


def circle(u: Floats, v: Floats, centre: Point, radius: float) -> Floats:
    """Return the distance to a disc."""
    x, y = u - centre[0], v - centre[1]
    return np.sqrt(x * x + y * y) - radius


def ellipse(u: Floats, v: Floats, centre: Point, axes: Point, lean: float = 0.0) -> Floats:
    """Return the distance (first order) to an ellipse; ``lean`` is the slope v per u of its first axis."""
    norm = 1.0 / float(np.sqrt(1.0 + lean * lean))
    x, y = u - centre[0], v - centre[1]
    along, across = (x + y * lean) * norm, (y - x * lean) * norm
    a, b = along * (1.0 / axes[0]), across * (1.0 / axes[1])
    reach = np.sqrt(a * a + b * b)
    a, b = a * (1.0 / axes[0]), b * (1.0 / axes[1])
    slope = np.sqrt(a * a + b * b)
    return reach * (reach - 1.0) / np.maximum(slope, 1e-6)


def capsule(u: Floats, v: Floats, start: Point, end: Point, radius: float) -> Floats:
    """Return the distance to a capsule: a thick line with round ends."""
    x, y = u - start[0], v - start[1]
    dx, dy = end[0] - start[0], end[1] - start[1]
    share = np.clip((x * dx + y * dy) * (1.0 / (dx * dx + dy * dy)), 0.0, 1.0)
    x, y = x - share * dx, y - share * dy
    return np.sqrt(x * x + y * y) - radius


def box(u: Floats, v: Floats, centre: Point, half: Point, corner: float = 0.0) -> Floats:
    """Return the distance to an upright rectangle with rounded corners."""
    x = np.abs(u - centre[0]) - (half[0] - corner)
    y = np.abs(v - centre[1]) - (half[1] - corner)
    right, below = np.maximum(x, 0.0), np.maximum(y, 0.0)
    result: Floats = np.sqrt(right * right + below * below) + np.minimum(np.maximum(x, y), 0.0) - corner
    return result


def polygon(u: Floats, v: Floats, points: Sequence[Point]) -> Floats:
    """Return the distance to a simple polygon."""
    nearest = np.full(u.shape, 1e9)
    inside = np.zeros(u.shape, dtype=bool)
    for start, end in zip(points, [*points[1:], points[0]], strict=True):
        nearest = np.minimum(nearest, capsule(u, v, start, end, 0.0))
        (x0, y0), (x1, y1) = start, end
        if y0 != y1:
            crosses = ((v >= y0) != (v >= y1)) & (u < x0 + (v - y0) * ((x1 - x0) / (y1 - y0)))
            inside ^= crosses
    return np.where(inside, -nearest, nearest)


def ring(u: Floats, v: Floats, centre: Point, radius: float, thickness: float) -> Floats:
    """Return the distance to a circular band."""
    return np.abs(circle(u, v, centre, radius)) - thickness


def intersection(first: Floats, *others: Floats) -> Floats:
    """Return the intersection of shapes (a bound of the distance)."""
    for other in others:
        first = np.maximum(first, other)
    return first


def union(first: Floats, *others: Floats) -> Floats:
    """Return the union of shapes."""
    for other in others:
        first = np.minimum(first, other)
    return first


def difference(first: Floats, other: Floats) -> Floats:
    """Return the difference of two shapes (a bound of the distance)."""
    return np.maximum(first, -other)


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
        (union(circle(u, v, (0.0, -0.33), 0.425), skirt), 0.0),
        (box(u, v, (0.0, 0.55), (0.86, 0.09), 0.08), -0.3),
        (intersection(box(u, v, (0.0, -0.02), (0.6, 0.045)), skirt), 0.45),
    ]


def _drum(u: Floats, v: Floats) -> list[Part]:
    wall = union(box(u, v, (0.0, 0.2), (0.8, 0.42)), ellipse(u, v, (0.0, 0.62), (0.8, 0.26)))
    lacing = union(
        *(capsule(u, v, (x, -0.1), (x + 0.2, 0.72), 0.025) for x in (-0.7, -0.3, 0.1, 0.5)),
        *(capsule(u, v, (x, -0.1), (x - 0.2, 0.72), 0.025) for x in (-0.5, -0.1, 0.3, 0.7)),
    )
    return [
        (wall, 0.0),
        (intersection(lacing, wall), 0.55),
        (intersection(ring(u, v, (0.0, -2.75), 3.4, 0.06), wall), -0.45),
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
    loop = difference(
        box(u, v, (-0.22, 0.26), (0.5, 0.3), 0.28), box(u, v, (-0.22, 0.26), (0.36, 0.16), 0.15)
    )
    flare = polygon(u, v, [(0.1, -0.1), (0.55, -0.24), (0.9, -0.6), (0.9, 0.56), (0.55, 0.2), (0.1, 0.06)])
    return [
        (union(*(box(u, v, (x, -0.2), (0.075, 0.26), 0.04) for x in (-0.46, -0.24, -0.02))), -0.35),
        (loop, -0.12),
        (capsule(u, v, (-0.86, -0.02), (0.3, -0.02), 0.085), 0.0),
        (flare, 0.0),
        (box(u, v, (-0.92, -0.02), (0.07, 0.15), 0.05), -0.45),
        (ellipse(u, v, (0.88, -0.02), (0.12, 0.58)), -0.5),
    ]


def _clock(u: Floats, v: Floats) -> list[Part]:
    marks = union(
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
    stripes = union(*(box(u, v, (x, 0.22), (0.085, 0.6)) for x in (-0.52, -0.2, 0.12)))
    return [
        (polygon(u, v, [(-0.7, 0.08), (-1.02, 0.24), (-0.7, 0.38)]), DARK),
        (ellipse(u, v, (-0.36, -0.4), (0.48, 0.24), 0.9), 0.75),
        (ellipse(u, v, (0.14, -0.42), (0.5, 0.26), -1.5), 0.75),
        (capsule(u, v, (0.66, 0.0), (0.78, -0.36), 0.035), DARK),
        (capsule(u, v, (0.76, 0.04), (0.98, -0.24), 0.035), DARK),
        (body, 0.0),
        (intersection(stripes, body), DARK),
        (circle(u, v, (0.6, 0.2), 0.31), -0.15),
        (circle(u, v, (0.7, 0.12), 0.09), IVORY),
        (circle(u, v, (0.72, 0.12), 0.05), DARK),
    ]


def _frog(u: Floats, v: Floats) -> list[Part]:
    smile = intersection(ring(u, v, (0.0, -0.12), 0.5, 0.035), box(u, v, (0.0, 0.4), (0.42, 0.3)))
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
    pot = intersection(ellipse(u, v, (-0.08, 0.34), (0.62, 0.6)), box(u, v, (0.0, 0.2), (1.0, 0.6)))
    handle = intersection(ring(u, v, (-0.08, -0.2), 0.5, 0.065), box(u, v, (-0.08, -0.55), (0.7, 0.42)))
    return [
        (handle, -0.6),
        (
            polygon(
                u, v, [(0.3, 0.3), (0.7, -0.24), (1.0, -0.3), (0.98, -0.16), (0.84, -0.08), (0.52, 0.52)]
            ),
            -0.15,
        ),
        (pot, 0.0),
        (intersection(box(u, v, (0.0, 0.7), (0.8, 0.1)), pot), -0.4),
        (ellipse(u, v, (-0.08, -0.2), (0.32, 0.1)), -0.35),
        (circle(u, v, (-0.08, -0.34), 0.1), DARK),
        (ellipse(u, v, (-0.36, 0.16), (0.1, 0.2), 0.4), 0.5),
    ]


def _guitar(u: Floats, v: Floats) -> list[Part]:
    waist = capsule(u, v, (-0.3, 0.38), (-0.04, 0.06), 0.27)
    return [
        (capsule(u, v, (-0.05, 0.08), (0.72, -0.72), 0.075), -0.5),
        (capsule(u, v, (0.72, -0.74), (0.86, -0.88), 0.13), -0.25),
        (union(circle(u, v, (-0.4, 0.46), 0.5), circle(u, v, (-0.02, 0.03), 0.36), waist), 0.0),
        (circle(u, v, (-0.12, 0.16), 0.17), DARK),
        (capsule(u, v, (-0.62, 0.46), (-0.38, 0.7), 0.05), DARK),
        (capsule(u, v, (-0.5, 0.58), (0.7, -0.72), 0.022), 0.7),
    ]


def _cat(u: Floats, v: Floats) -> list[Part]:
    left = polygon(u, v, [(-0.78, -0.95), (-0.08, -0.5), (-0.76, 0.0)])
    right = polygon(u, v, [(0.78, -0.95), (0.08, -0.5), (0.76, 0.0)])
    whiskers = union(
        *(capsule(u, v, (side * 0.3, 0.36), (side * 1.0, y), 0.022) for side in (-1, 1) for y in (0.2, 0.5))
    )
    return [
        (union(left, right), 0.0),
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
    holes = union(
        *(
            circle(u, v, p, 0.06)
            for p in ((-0.2, 0.2), (0.2, 0.2), (0.0, 0.1), (0.0, 0.5), (-0.2, 0.4), (0.2, 0.4))
        )
    )
    grip = intersection(ring(u, v, (0.0, 0.42), 1.1, 0.13), box(u, v, (0.0, -0.6), (0.78, 0.42)))
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
    band = intersection(capsule(u, v, (-0.3, -0.5), (0.42, 0.22), 0.07), head)
    dots = union(
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
