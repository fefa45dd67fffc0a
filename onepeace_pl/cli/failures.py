"""Tell a refusal (the user can put it right: one line) from a defect (a traceback).

A refusal is a :class:`UserError`; a ``ValueError`` or ``TypeError`` that a ``raise`` statement of ours, of the
user's or of Lightning has made on purpose; a file that is missing, may not be read or written, or finds no
space; a library that does not load; or Lightning's ``MisconfigurationException``. The same exceptions out of the
depths of another library, or of an expression that went wrong, are defects and keep their traceback.
"""

import errno
import linecache
import os
import pickle
import re
import sysconfig
import traceback
from pathlib import Path

import onepeace_pl
from onepeace_pl.cli.lost import lost_process
from onepeace_pl.errors import UserError
from onepeace_pl.utils.libraries import LibraryError, library_error

_PACKAGE = Path(onepeace_pl.__file__).parent
_SPEAKS_TO_USERS = (_PACKAGE, Path(sysconfig.get_path("purelib"), "lightning"))  # wherever installed
_PARSER = Path(sysconfig.get_path("purelib"), "jsonargparse")
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")})
_IN_WORKER = re.compile(r"Caught (\w+) in \w+ worker process")
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_NOT_INSTALLED = re.compile(r"Requirement '[^']+' not met[^\n]*")
_OS_ERROR = re.compile(r"(?:\[Errno |\(os error )(\d+)[\])]")  # Python's words and Rust's (safetensors)
_SPACE = "free some space, or write elsewhere"
_REMEDIES = {  # of what may go wrong with any file
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "the file system, or a limit of yours, allows no file of that size",
    errno.EACCES: "change who may read or write it, or choose another place",
    errno.EPERM: "change who may read or write it, or choose another place",
    errno.EROFS: "choose another place",
    errno.EISDIR: "give a file",
    errno.ENOTDIR: "a part of that path is a file",
    errno.EEXIST: "move it away, or choose another name",
    errno.ENAMETOOLONG: "choose a shorter one",
    errno.ELOOP: "a symbolic link leads back to itself",
    errno.EMFILE: "raise the limit (ulimit -n), or use fewer workers",
    errno.EIO: "the disk or its connection fails",
}


def refusal(error: BaseException) -> str | None:
    """Return the one line for the user, or None where ``error`` is a defect."""
    if missing := _NOT_INSTALLED.search(
        str(error)
    ):  # of a logger in a list, in the middle of what the parser says
        return missing[0]
    error = _unwrapped(error)
    text = str(error)
    if type(error).__name__ == "MisconfigurationException":
        return _line(text)
    if _IN_WORKER.match(text):  # a DataLoader sends the worker's traceback as text
        return _from_worker(type(error), text)
    if (library := library_error(error)) is not None:
        return str(library)
    if isinstance(error, UserError):
        return _line(text)
    if isinstance(error, FileNotFoundError):
        return f"no such file: {error.filename}" if error.filename else _line(text)
    if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
        return _of_file(error)
    if (lost := lost_process(error)) is not None:
        return lost
    if isinstance(error, RuntimeError | pickle.UnpicklingError):
        return _of_checkpoint(text)
    if not isinstance(error, ValueError | TypeError | ImportError):
        return None
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return _line(text) if _on_purpose(frame.filename, frame.lineno or 0) else None


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


def _of_file(error: BaseException) -> str | None:
    """Tell what the system refuses: reason, file and remedy."""
    found = _OS_ERROR.search(str(error))
    number = getattr(error, "errno", None) or (int(found[1]) if found else 0)
    if number not in _REMEDIES:
        return None
    names = [str(name) for a in ("filename", "filename2") if (name := getattr(error, a, None)) is not None]
    return ": ".join([os.strerror(number).lower(), *names]) + f"; {_REMEDIES[number]}"


def _of_checkpoint(text: str) -> str | None:
    """Tell what torch says of a file that it can't read or write, without its advice to let the file run code."""
    if found := re.search(r"Unsupported (?:global: GLOBAL|class) (\S+)", text):
        return f"the checkpoint holds more than tensors and plain values ({found[1]}), and could run code: not read"
    if "Weights only load failed" in text or re.search(
        "PytorchStreamReader|failed finding central directory", text
    ):
        return "the checkpoint is damaged; give another, such as the run's best.ckpt or last.ckpt"
    if "PytorchStreamWriter" in text or re.search(r"inline_container.*unexpected pos", text):
        return f"a checkpoint could not be written; {_SPACE}"
    return None


def _from_worker(kind: type[BaseException], text: str) -> str | None:
    said = text.rpartition(f"{kind.__name__}: ")[2]
    if issubclass(kind, UserError | LibraryError | FileNotFoundError):
        return _line(said)
    if issubclass(kind, OSError):
        return _line(said) if _of_file(OSError(said)) else None
    if not issubclass(kind, ValueError | TypeError):
        return None
    frames = _FRAME.findall(text)
    return _line(said) if frames and _on_purpose(frames[-1][0], int(frames[-1][1])) else None


def _on_purpose(file: str, line: int) -> bool:
    path = Path(file)
    ours = any(map(path.is_relative_to, _SPEAKS_TO_USERS)) or not any(map(path.is_relative_to, _LIBRARIES))
    return ours and linecache.getline(file, line).lstrip().startswith("raise ")


def _line(text: str) -> str:
    return " ".join(text.split())
