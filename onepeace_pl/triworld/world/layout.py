"""Where objects may stand: sets of places that leave room for one another, and their centres."""

from functools import cache
from itertools import combinations, permutations

from onepeace_pl.triworld.world.factors import PLACES

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
    """Return every ordered choice of ``count`` places (indices into PLACES) with little overlap.

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
    """Return how the first place lies to the second along an axis (0 across, 1 down), None where level."""
    step = first % 3 - second % 3 if axis == 0 else first // 3 - second // 3
    if step == 0:
        return None
    return RELATIONS[2 * axis + (step > 0)]


@cache
def relations(first: int, second: int) -> tuple[str, ...]:
    """Return the one or two relations that hold between two places."""
    found = (relation_between(first, second, axis) for axis in (0, 1))
    return tuple(relation for relation in found if relation is not None)
