"""Factors of variation of a TriWorld scene: value tables, held-out combinations and layouts of objects."""

from functools import cache
from itertools import combinations, permutations, product
from typing import Final

KINDS: Final = (
    "bell", "drum", "bird", "horn", "clock", "bee", "frog", "kettle", "guitar", "cat", "phone", "rattle",
)  # fmt: skip
SIZES: Final = ("small", "large")
COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
BACKGROUNDS: Final = ("snow", "grass", "sand", "night", "water", "wood", "bricks", "clouds")
PLACES: Final = (
    "top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right",
)  # fmt: skip
RHYTHMS: Final = ("once", "twice", "thrice", "steady", "speeding up")
DIRECTIONS: Final = ("left", "right", "up", "down")
SPEEDS: Final = ("slow", "fast")
MAX_OBJECTS: Final = 4

VISIBLE: Final = frozenset({"kind", "size", "count", "colour", "place", "background"})
AUDIBLE: Final = frozenset({"kind", "size", "count", "rhythm", "order"})


def place_column_row(place: str) -> tuple[int, int]:
    """Return the (column, row) of a place in the 3 x 3 grid, counted from the top left."""
    index = PLACES.index(place)
    return index % 3, index // 3


# Compositional split: one pair in eight, spread so that every kind keeps at least six colours, six backgrounds and
# three rhythms.
HELD_OUT_COLOURS: Final = frozenset(
    (kind, colour)
    for (k, kind), (c, colour) in product(enumerate(KINDS), enumerate(COLOURS))
    if (3 * k + c) % 8 == 2
)
HELD_OUT_BACKGROUNDS: Final = frozenset(
    (kind, background)
    for (k, kind), (b, background) in product(enumerate(KINDS), enumerate(BACKGROUNDS))
    if (5 * k + b) % 8 == 6
)
HELD_OUT_RHYTHMS: Final = frozenset(
    (kind, rhythm)
    for (k, kind), (r, rhythm) in product(enumerate(KINDS), enumerate(RHYTHMS))
    if (k * len(RHYTHMS) + r) % 8 == 5
)


CENTRES = (0.22, 0.5, 0.78)
SHRINK = {1: 1.0, 2: 1.0, 3: 0.76, 4: 0.72}


def _apart(first: int, second: int, count: int) -> bool:
    across = abs(first % 3 - second % 3)
    down = abs(first // 3 - second // 3)
    if count <= 2:
        return max(across, down) == 2
    return across + down >= 2


@cache
def layouts(count: int) -> tuple[tuple[int, ...], ...]:
    """Return every placement of ``count`` objects (indices into PLACES) with little overlap.

    Up to two objects stand a whole cell apart; three or four are drawn smaller and may touch at corners.
    """
    sets = (
        places
        for places in combinations(range(len(PLACES)), count)
        if all(_apart(a, b, count) for a, b in combinations(places, 2))
    )
    return tuple(ordered for places in sets for ordered in permutations(places))


RELATIONS = ("left of", "right of", "above", "below")


def relation_between(first: int, second: int, axis: int) -> str | None:
    """Return the spatial relation of two places along an axis (0 horizontal, 1 vertical), None where level."""
    step = first % 3 - second % 3 if axis == 0 else first // 3 - second // 3
    if step == 0:
        return None
    return RELATIONS[2 * axis + (step > 0)]


@cache
def relations(first: int, second: int) -> tuple[str, ...]:
    """Return the one or two spatial relations that hold between two places."""
    found = (relation_between(first, second, axis) for axis in (0, 1))
    return tuple(relation for relation in found if relation is not None)
