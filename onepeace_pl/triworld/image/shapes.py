"""Signed distances of simple shapes: negative inside, positive outside, in the units of the coordinates.

All functions take coordinate arrays ``u`` (to the right) and ``v`` (down) of one shape and return that shape.
"""

from collections.abc import Sequence

import numpy as np

from onepeace_pl.triworld.world.pinned import Floats

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
    """Return the distance to a thick line with round ends."""
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


def both(first: Floats, *others: Floats) -> Floats:
    """Return the distance (a bound) to what lies in all shapes."""
    for other in others:
        first = np.maximum(first, other)
    return first


def either(first: Floats, *others: Floats) -> Floats:
    """Return the distance to what lies in any shape."""
    for other in others:
        first = np.minimum(first, other)
    return first


def without(first: Floats, other: Floats) -> Floats:
    """Return the distance (a bound) to the first shape less the other."""
    return np.maximum(first, -other)
