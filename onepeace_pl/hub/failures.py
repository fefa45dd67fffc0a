"""Items that cannot be read: policies of ``encode``, and its result without them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, get_args

from onepeace_pl.errors import UserError

OnError = Literal["raise", "skip", "none"]
"""``raise`` the error, ``skip`` the item, or keep its place with ``none`` (a row of NaN; None in a list)."""

Vectors = TypeVar("Vectors", covariant=True)
_SHOWN = 3


@dataclass(frozen=True)
class Encoded(Generic[Vectors]):
    """Result of ``encode(..., on_error="skip")``.

    Attributes:
        vectors: Vectors of the items that could be read, in their order.
        kept: Position of each of them in the input: ``vectors[k]`` is that of item ``kept[k]``.
        errors: Position of each item that was left out, and its error.
    """

    vectors: Vectors
    kept: list[int]
    errors: dict[int, Exception]


def check_on_error(on_error: OnError) -> None:
    """Reject an unknown policy.

    Raises:
        UserError: Names the policies.
    """
    if on_error not in get_args(OnError):
        raise UserError(f"on_error={on_error!r}: choose one of {', '.join(get_args(OnError))}")


def warn_of_failures(errors: Mapping[int, Exception], count: int) -> None:
    """Warn once of all items that could not be read, and name the first of them."""
    if errors:
        named = "; ".join(f"{index}: {error}" for index, error in list(errors.items())[:_SHOWN])
        more = "; ..." if len(errors) > _SHOWN else ""
        warnings.warn(f"{len(errors)} of {count} items could not be read ({named}{more})", stacklevel=4)
