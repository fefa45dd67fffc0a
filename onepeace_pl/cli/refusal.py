"""Tell a refusal (the user can put it right: one line) from a defect (a traceback).

A refusal is a ``ValueError`` or ``TypeError`` that a ``raise`` statement of ours, of the user's or of
Lightning has made on purpose, a missing file, or Lightning's ``MisconfigurationException``. The same
exceptions out of the depths of another library, or of an expression that went wrong, are defects and keep
their traceback.
"""

import linecache
import re
import sysconfig
import traceback
from pathlib import Path

import onepeace_pl

_PACKAGE = Path(onepeace_pl.__file__).parent
_SPEAKS_TO_USERS = (_PACKAGE, Path(sysconfig.get_path("purelib"), "lightning"))  # wherever installed
_PARSER = Path(sysconfig.get_path("purelib"), "jsonargparse")
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")})
_IN_WORKER = re.compile(r"Caught (\w+) in \w+ worker process")
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def refusal(error: BaseException) -> str | None:
    """Return the one line for the user, or None where ``error`` is a defect."""
    error = _unwrapped(error)
    if type(error).__name__ == "MisconfigurationException":
        return _line(str(error))
    if not isinstance(error, ValueError | TypeError | FileNotFoundError):
        return None
    if _IN_WORKER.match(str(error)):  # a DataLoader sends the worker's traceback as text
        return _from_worker(type(error), str(error))
    if isinstance(error, FileNotFoundError):
        return f"no such file: {error.filename}" if error.filename else _line(str(error))
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return _line(str(error)) if _on_purpose(frame.filename, frame.lineno or 0) else None


def misses_file(error: BaseException | None) -> bool:
    """Say whether a missing file is what ``error`` comes from."""
    return error is not None and (isinstance(error, FileNotFoundError) or misses_file(error.__cause__))


def _unwrapped(error: BaseException) -> BaseException:
    """Return what a constructor has raised, in place of what the parser makes of it."""
    while (
        error.__cause__ is not None
        and _PARSER in Path(traceback.extract_tb(error.__traceback__)[-1].filename).parents
    ):
        error = error.__cause__
    return error


def _from_worker(kind: type[BaseException], text: str) -> str | None:
    frames = _FRAME.findall(text)
    purpose = bool(frames) and _on_purpose(frames[-1][0], int(frames[-1][1]))
    if not (purpose or issubclass(kind, FileNotFoundError)):
        return None
    return _line(text.rpartition(f"{kind.__name__}: ")[2])


def _on_purpose(file: str, line: int) -> bool:
    path = Path(file)
    ours = any(map(path.is_relative_to, _SPEAKS_TO_USERS)) or not any(map(path.is_relative_to, _LIBRARIES))
    return ours and linecache.getline(file, line).lstrip().startswith("raise ")


def _line(text: str) -> str:
    return " ".join(text.split())
