"""Safe unpickling of plain data."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import NoReturn

from onepeace_pl.errors import UserError
from onepeace_pl.utils.regular_files import require_regular


class _Plain(pickle._Unpickler):
    """Makes numbers, texts, lists and mappings, which need no name to be looked up.

    The one in Python: the one in C makes a list as long as a pickle says, gigabytes for six bytes.
    """

    def find_class(self, module: str, name: str) -> NoReturn:
        """Reject globals: a name can be a function."""
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def read_plain_pickle(path: Path) -> object:
    """Return what a pickle of plain data holds; strings of Python 2 are taken as Latin-1.

    Raises:
        UserError: If it is missing, damaged, or asks for anything beyond plain data.
    """
    try:
        require_regular(path)
        return _Plain(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; check the path") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: not read ({error}): only numbers, texts, lists and mappings are; download it again"
        ) from error
    except Exception as error:  # a damaged pickle can fail in any way
        raise UserError(f"{path}: damaged, or no pickle ({error}); download it again") from error
