"""What the parser says of a value that fits none of several types: a paragraph for each, and one matters."""

import re

from onepeace_pl.errors import nearest

_NONE_FITS = "Does not validate against any of the Union subtypes"
_TELLING = re.compile(r"Problem with given class_path|ption '|has no attribute|No module named|required")
_REJECTED = re.compile(r"ption '([^']+)' is not accepted")
_KIND = re.compile(r"(?:Expected an? <class '|Not a valid subclass of )(\w+)")
_CHOICE = re.compile(r"Expected an? typing\.Literal\[(.*)\]")
_GIVEN = re.compile(r"Given value: (.*)", re.S)


def narrow(chain: list[str]) -> list[str]:
    """Replace, in a chain of messages, what is said of a union by the message that tells what is wrong.

    Args:
        chain: Messages from the outermost to the innermost.
    """
    at = max((i for i, text in enumerate(chain) if _NONE_FITS in text), default=None)
    return chain if at is None else [*chain[:at], *_open(chain[at])]


def choices_of(text: str) -> list[str]:
    """Return the valid values that a message names, none where it names none."""
    choice = _CHOICE.search(text)
    return [word.strip(" '\"") for word in choice[1].split(",")] if choice else []


def _open(text: str) -> list[str]:
    errors, _, given = text.partition("Errors:\n")[2].rpartition("Given value type:")
    indent = re.match(" *", errors)
    bullets = re.split(rf"^{indent[0] if indent else ''}- ", errors, flags=re.M)[1:]
    telling = [bullet for bullet in bullets if _TELLING.search(bullet)]
    if not telling:
        kinds = [("null" if m[1] == "NoneType" else m[1]) for bullet in bullets if (m := _KIND.match(bullet))]
        choices = [choice for bullet in bullets for choice in choices_of(bullet)]
        value = _GIVEN.search(given)
        got = value[1].strip() if value else "something else"
        if choices:
            kinds.append(f"one of {', '.join(choices)}")
        line = f"expected {' or '.join(kinds)}, got {got}"
        if hint := nearest(got, choices, ""):
            line += f"; {hint}"
        return [*_lines(text.partition(_NONE_FITS)[0]), line]
    rejected = [m[1] if (m := _REJECTED.search(bullet)) else "" for bullet in telling]
    told = telling[rejected.index(min(rejected, key=rejected.count))]  # the others reject what this one takes
    if len(telling) > 1 and rejected.count(rejected[0]) == len(telling):  # nobody takes it
        told = "".join(bullet.partition("\n")[0] + "\n" for bullet in telling[:-1]) + telling[-1]
    above, _, inside = told.partition(_NONE_FITS)
    deeper = _open(told) if inside else []
    return [*_lines(text.partition(_NONE_FITS)[0]), *_lines(above), *deeper]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
