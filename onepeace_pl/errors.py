"""``UserError``, which the command line shows as one line, and helpers for its text."""

import difflib
from collections.abc import Iterable

_LONGEST = 200  # characters of a name; comparing takes the product of lengths


class UserError(ValueError):
    """Invalid input or configuration; the message names what is wrong and how to put it right.

    The command line prints it as one line and exits with code 2; any other exception is a traceback.
    """


def nearest(name: str, valid: Iterable[str], otherwise: str | None = None) -> str:
    """Suggest the closest valid name.

    Args:
        name: The unknown name.
        valid: Names that would be right.
        otherwise: Returned where none is close; by default all of them are listed.

    Returns:
        ``did you mean 'x'?`` or ``otherwise``.
    """
    names = list(dict.fromkeys(valid))
    short = [each for each in names if len(each) <= _LONGEST]
    close = difflib.get_close_matches(name, short, n=1, cutoff=0.5) if len(name) <= _LONGEST else []
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are {', '.join(names)}" if otherwise is None else otherwise


def first_line(error: object, otherwise: str = "") -> str:
    """Return the first line of an error's text that is not blank; ``otherwise`` where there is none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), otherwise)
