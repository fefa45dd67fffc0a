"""Show one line (user error) or a traceback (bug).

The type decides. One line have :class:`UserError`, a file that is missing, may not be read or written or finds no
space, a library that does not load, and what Lightning's Trainer complains of. While a config is turned into objects,
a ``ValueError``, ``TypeError`` or ``ImportError`` of a constructor, be it a user's or a library's, becomes a
:class:`UserError`, too; later they are bugs.
"""

import errno
import os
import pickle
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from onepeace_pl.cli.lost import lost_process
from onepeace_pl.errors import UserError
from onepeace_pl.utils.libraries import LibraryError, library_error

_IN_WORKER = re.compile(r"Caught (\w+) in \w+ worker process")
_NOT_INSTALLED = re.compile(r"Requirement '[^']+' not met[^\n]*")
_OS_ERROR = re.compile(r"(?:\[Errno |\(os error )(\d+)[\])]")  # Python's words and Rust's (safetensors)
_SPACE = "free some space, or write elsewhere"
_REMEDIES = {  # for every file
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


def user_message(error: BaseException) -> str | None:
    """Return the line for the user, or None where ``error`` is a bug."""
    if missing := _NOT_INSTALLED.search(str(error)):  # of a logger in a list, amid what the parser says
        return missing[0]
    return next(filter(None, map(_message, _causes(error))), None)


def is_missing_file(error: BaseException | None) -> bool:
    """Whether ``error`` comes from a file that does not exist."""
    return error is not None and any(isinstance(cause, FileNotFoundError) for cause in _causes(error))


@contextmanager
def constructing() -> Iterator[None]:
    """Turn errors of constructors into user errors: inside, a config is turned into objects."""
    try:
        yield
    except UserError:
        raise
    except (ValueError, TypeError, ImportError) as error:
        if user_message(error) is not None:  # of a cause, which the parser has wrapped
            raise
        raise UserError(str(error)) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _message(error: BaseException) -> str | None:
    text = str(error)
    if _IN_WORKER.match(text):  # a DataLoader sends the worker's traceback as text
        return _from_worker(type(error), text)
    if (library := library_error(error)) is not None:
        return str(library)
    if isinstance(error, UserError) or _is_lightnings(error):
        return _line(text)
    if isinstance(error, FileNotFoundError):
        return f"no such file: {error.filename}" if error.filename else _line(text)
    if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
        return _of_file(error)
    if (lost := lost_process(error)) is not None:
        return lost
    if isinstance(error, RuntimeError | pickle.UnpicklingError):
        return _of_checkpoint(text)
    return None


def _is_lightnings(error: BaseException) -> bool:
    """Whether Lightning refuses a combination of options; by ``ValueError``, too, and by no type of its own."""
    if type(error).__name__ == "MisconfigurationException":
        return True
    frames = list(traceback.walk_tb(error.__traceback__))
    module = str(frames[-1][0].f_globals.get("__name__")) if frames else ""
    return isinstance(error, ValueError) and module.startswith("lightning.")


def _of_file(error: BaseException) -> str | None:
    """Say what the system refuses: reason, file and remedy."""
    found = _OS_ERROR.search(str(error))
    number = error.errno if isinstance(error, OSError) else None
    number = number or (int(found[1]) if found else 0)
    if number not in _REMEDIES:
        return None
    names = (error.filename, error.filename2) if isinstance(error, OSError) else ()
    return ": ".join([os.strerror(number).lower(), *(str(n) for n in names if n is not None)]) + (
        f"; {_REMEDIES[number]}"
    )


def _of_checkpoint(text: str) -> str | None:
    """Say what torch finds wrong with a file, without its advice to let the file run code."""
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
    message = text.rpartition(f"{kind.__name__}: ")[2]
    if issubclass(kind, UserError | LibraryError | FileNotFoundError):
        return _line(message)
    if issubclass(kind, OSError):
        return _line(message) if _of_file(OSError(message)) else None
    return None


def _line(text: str) -> str:
    return " ".join(text.split())
