"""Restricted unpickling of checkpoints, which runs no code of them.

Three kinds are understood: ``torch.save``'s zip, its older format, and a plain pickle of tensors or arrays
(the vision-only file). Of each, only tensors, arrays and plain data are made. Objects among the options of a
run become inert stand-ins; anything else is rejected.
"""

from __future__ import annotations

import argparse
import io
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from onepeace_pl.errors import UserError, first_line

_OLD_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # how torch.save's older format begins
_TOO_SHORT = "it ends too early"
_SCALAR: Any = import_module("numpy._core.multiarray").scalar
# further contents of the original's checkpoints: numpy scalars, and options
_INERT = [
    argparse.Namespace,
    np.dtype,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    _SCALAR,
    *{type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "?")},
]


def read_pickle(path: Path) -> object:
    """Read a checkpoint file.

    Raises:
        FileNotFoundError: Nothing is there.
        UserError: It is damaged, of no known kind, or holds more than tensors and plain data.
    """
    if not path.exists():
        raise FileNotFoundError(f"no file {path}; check the path")
    if not path.is_file():
        raise UserError(f"{path} is a folder, not a checkpoint file")
    zipped = zipfile.is_zipfile(path)
    try:
        with path.open("rb") as file:
            start = file.read(len(_OLD_TORCH))
            if not zipped and start != _OLD_TORCH:
                return _read_plain(file, start)
        return _read_torch(path, zipped)
    except pickle.UnpicklingError as error:
        text = str(error)
        if "GLOBAL " not in text:
            raise UserError(f"{path} is damaged, or no checkpoint: {first_line(text, _TOO_SHORT)}") from None
        culprit = text.split("GLOBAL ")[-1].split(" ")[0]
        raise UserError(
            f"{path} holds more than tensors and plain data ({culprit}); it is not read: a pickle can run "
            "code; save its 'model' entry alone with torch.save"
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise UserError(f"{path} is damaged, or no checkpoint: {first_line(error, _TOO_SHORT)}") from None


class _NotCallable(type):
    """Of classes that can be made empty and filled, as a plain object is, but not called as code would be."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise pickle.UnpicklingError(f"GLOBAL {cls.__name__} ")


def _read_torch(path: Path, zipped: bool) -> object:
    """Read what ``torch.save`` wrote; objects of any class in it (a run's options) become inert stand-ins."""
    stand_ins: dict[str, type] = {}
    while True:
        named = [(stand_in, name) for name, stand_in in stand_ins.items()]
        try:
            with torch.serialization.safe_globals([*_INERT, *named]):
                return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
        except pickle.UnpicklingError as error:
            unknown = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
            if unknown is None or unknown[1] in stand_ins:
                raise
            stand_ins[unknown[1]] = _NotCallable(
                unknown[1], (), {"__new__": lambda cls, *_: object.__new__(cls)}
            )


def _read_plain(file: io.BufferedReader, start: bytes) -> object:
    if start[:1] != b"\x80":
        raise UserError("it is neither a zip nor a pickle")
    file.seek(0)
    return _arrays_to_tensors(_Restricted(file, encoding="latin1").load())


class _Restricted(pickle.Unpickler):
    """Makes nothing but what stands in the table."""

    def find_class(self, module: str, name: str) -> Any:
        """Look up a global; the genuine functions are replaced by ones that do no more than they must."""
        known = _TABLE.get((module.replace("numpy.core.", "numpy._core."), name))
        if known is None:
            raise pickle.UnpicklingError(f"GLOBAL {module}.{name} ")
        return known


def _rebuild_tensor(
    storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *rest: Any
) -> Tensor:
    tensor = torch.tensor([], dtype=storage.dtype)
    with torch.no_grad():
        return tensor.set_(storage._untyped_storage, offset, size, stride)


def _rebuild_parameter(data: Tensor, *rest: Any) -> nn.Parameter:
    return nn.Parameter(data, requires_grad=False)


def _storage(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise UserError(f"bytes in encoding {encoding}")
    return text.encode("latin1")


def _array(kind: type, shape: tuple[int, ...], typecode: bytes) -> np.ndarray[Any, Any]:
    return np.ndarray((0,), "b")  # filled by its state, which follows


def _from_buffer(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: str) -> Any:
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if order == "F" else "C").copy()


_TABLE: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("_codecs", "encode"): _latin1,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "scalar"): _SCALAR,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def _arrays_to_tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype != object:
        return torch.from_numpy(value.copy())
    if isinstance(value, dict):
        return {key: _arrays_to_tensors(item) for key, item in value.items()}
    return value
