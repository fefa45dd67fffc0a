"""The factors of a TriWorld scene and the combinations that training never shows.

Pure tables: every other file of this package speaks of a scene in these words.
"""

from itertools import product
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
MOST_OBJECTS: Final = 4

VISIBLE: Final = frozenset({"kind", "size", "count", "colour", "place", "background"})
AUDIBLE: Final = frozenset({"kind", "size", "count", "rhythm", "order"})


def place_column_row(place: str) -> tuple[int, int]:
    """Return the (column, row) of a place in the 3 x 3 grid, counted from the top left."""
    index = PLACES.index(place)
    return index % 3, index // 3


# One pair in eight, spread so that every kind keeps at least six colours, six backgrounds and three rhythms.
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
