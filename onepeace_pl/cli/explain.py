"""One-line parser errors: file, key, problem, nearest valid name.

jsonargparse raises one exception for each level of nesting, the innermost being the exact one, and puts key, value and
expected type into their texts alone. So the texts are read here, and a test keeps every line that a user may see.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from onepeace_pl.cli.origin import file_of
from onepeace_pl.cli.renamed import moved_class, renamed_key
from onepeace_pl.cli.yaml_text import shown
from onepeace_pl.errors import nearest
from onepeace_pl.utils.known_classes import denied
from onepeace_pl.utils.libraries import library_error

_KEY = re.compile(r'\s*Parser key "([^"]+)"')
_UNKNOWN = re.compile(r"(?:Group '([^']+)' does not accept o|[Oo])ption '([^']+)'|arguments: --([\w.+-]+)")
_CLASS_PATH = re.compile(r"\bonepeace_pl(?:\.\w+)*\.[A-Z]\w*")
_OWNER = re.compile(r"class_path='([\w.]+)'|given class_path '([\w.]+)'")
_NO_FILE = re.compile(r"(?:path but|path format:|Got value:) (\S+\.ya?ml)\b")
_NO_NAME = re.compile(r"module '([\w.]+)' has no attribute '(\w+)'")
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_POSITIONAL = re.compile(r"nrecognized arguments: ([^-\s]\S*)")
_GOT = re.compile(r"Got value: (.*)", re.S)
_WRONG_TYPE = re.compile(r"Expected an? <class '(\w+)'>. Got value: (.*)", re.S)
# of a value that fits none of several types: a paragraph for each, of which one matters
_NONE_FITS = "Does not validate against any of the Union subtypes"
_TELLING = re.compile(r"Problem with given class_path|ption '|has no attribute|No module named|required")
_REJECTED = re.compile(r"ption '([^']+)' is not accepted")
_KIND = re.compile(r"(?:Expected an? <class '|Not a valid subclass of )(\w+)")
_CHOICE = re.compile(r"Expected an? typing\.Literal\[(.*)\]")
_GIVEN = re.compile(r"Given value: (.*)", re.S)


def explain(message: str, error: BaseException | None, known: Iterable[str], file: Path | None = None) -> str:
    """Make the one line.

    Args:
        message: The parser's own text, used where ``error`` is None.
        error: Exception of the parser.
        known: All top-level keys, dotted.
        file: The file being read, None for the command line.
    """
    chain = _narrow([str(cause) for cause in _causes(error)] or [message])
    if line := denied(" ".join([*chain, message])):
        return line
    key = _key(chain)
    unknown = _UNKNOWN.search(chain[-1])
    name = ".".join(filter(None, unknown.groups())) if unknown else ""
    if file:  # the key may stand in a file that this one mentions
        file = file_of(file, key if key.endswith(name) else f"{key}.{name}".lstrip("."))
    broken = next(filter(None, map(library_error, _causes(error))), None)
    culprit = str(broken) if broken else _culprit(chain, name, known)
    return ": ".join(filter(None, (shown(file) if file else "", key, culprit)))


def _key(chain: Sequence[str]) -> str:
    """Join the keys on the way down; a mentioned file's errors name the whole way again."""
    key = ""
    for step in (m[1] for text in chain if (m := _KEY.match(text))):
        if not key or f"{step}.".startswith(f"{key}."):
            key = step
        elif not f".{key}".endswith(f".{step}"):
            key = f"{key}.{step}"
    return key


def _culprit(chain: Sequence[str], unknown: str, known: Iterable[str]) -> str:
    deepest = chain[-1]
    # the class being configured; several where none of a union's takes the option
    owners: list[str] = []
    for text in reversed(chain):
        m = _OWNER.search(text)
        if m and (not owners or "\n" not in text):
            owners.insert(0, m[1] or m[2])
        elif owners:
            break
    if m := _NO_FILE.search(" ".join(chain)):
        return f"'{m[1]}' is no file beside the one that mentions it, or no valid YAML"
    if m := _POSITIONAL.search(deepest):
        option = "--ckpt_path" if m[1].endswith(".ckpt") else "--config"
        return f"'{m[1]}' stands behind no option; did you mean {option} {m[1]}?"
    if unknown:
        names = [name for owner in owners for name in _options(owner)] if owners else known
        return f"{' or '.join(owners) or 'this command'} has no option '{unknown}'" + _hint(unknown, names)
    for path in _CLASS_PATH.findall(" ".join(chain)):
        if not _exists(path) and (new := moved_class(path)):
            return f"'{path}' is called '{new}' now"
    if m := _NO_NAME.search(deepest):
        return f"no '{m[2]}' in module {m[1]}" + _nearest(m[2], dir(sys.modules.get(m[1])))
    if m := _NO_MODULE.search(deepest):
        return f"no module '{m[1]}'; is its folder on PYTHONPATH?"
    if (choices := _choices(deepest)) and (m := _GOT.search(deepest)):
        hint = nearest(m[1], choices, "")
        return f"expected one of {', '.join(choices)}, got {m[1]!r}" + (hint and f"; {hint}")
    if m := _WRONG_TYPE.search(deepest):
        return f"expected {m[1]}, got {m[2]!r}"
    return " ".join(re.sub(r"\. Got value: .*", "", deepest, flags=re.S).split())


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _options(class_path: str) -> Iterable[str]:
    module, name = class_path.rsplit(".", 1)
    part, parser = getattr(sys.modules.get(module), name, None), ArgumentParser()
    if part is None:  # imported when it was parsed, if that was allowed
        return ()
    add = parser.add_class_arguments if isinstance(part, type) else parser.add_function_arguments
    add(part, fail_untyped=False)
    names: Iterable[str] = parser.get_defaults().keys()
    return names


def _hint(name: str, names: Iterable[str]) -> str:
    names = list(names)
    new = renamed_key(name, names)
    return f"; it is called '{new}' now" if new else _nearest(name, names)


def _exists(class_path: str) -> bool:
    module, _, name = class_path.rpartition(".")
    return hasattr(sys.modules.get(module), name)


def _nearest(name: str, names: Iterable[str]) -> str:
    """Compare up to the first wrong step: for ``modle.x`` that is ``modle``."""
    starts = {".".join(parts[: i + 1]) for n in names if (parts := n.split(".")) for i in range(len(parts))}
    parts = name.split(".")
    wrong = next((s for i in range(len(parts)) if (s := ".".join(parts[: i + 1])) not in starts), name)
    hint = nearest(wrong, sorted(starts), otherwise="")
    return hint and f"; {hint}"


def _narrow(chain: list[str]) -> list[str]:
    """Replace, in a chain of messages, what is said of a union by the message that tells what is wrong.

    Args:
        chain: Messages from the outermost to the innermost.
    """
    at = max((i for i, text in enumerate(chain) if _NONE_FITS in text), default=None)
    return chain if at is None else [*chain[:at], *_open(chain[at])]


def _choices(text: str) -> list[str]:
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
        choices = [choice for bullet in bullets for choice in _choices(bullet)]
        value = _GIVEN.search(given)
        got = value[1].strip() if value else "something else"
        if choices:
            kinds.append(f"one of {', '.join(choices)}")
        line = f"expected {' or '.join(kinds)}, got {got}"
        if hint := nearest(got, choices, ""):
            line += f"; {hint}"
        return [*_lines(text.partition(_NONE_FITS)[0]), line]
    rejected = [m[1] if (m := _REJECTED.search(bullet)) else "" for bullet in telling]
    chosen = telling[
        rejected.index(min(rejected, key=rejected.count))
    ]  # the others reject what this one takes
    if len(telling) > 1 and rejected.count(rejected[0]) == len(telling):  # nobody takes it
        chosen = "".join(bullet.partition("\n")[0] + "\n" for bullet in telling[:-1]) + telling[-1]
    above, _, inside = chosen.partition(_NONE_FITS)
    deeper = _open(chosen) if inside else []
    return [*_lines(text.partition(_NONE_FITS)[0]), *_lines(above), *deeper]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
