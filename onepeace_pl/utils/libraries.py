"""Errors of compiled libraries that do not load, most often because of an incompatible version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires, version
from traceback import walk_tb

LIBRARIES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "torchaudio": "torchaudio",
    "torchmetrics": "torchmetrics",
    "lightning": "lightning",
    "numpy": "numpy",
    "scipy": "scipy",
    "matplotlib": "matplotlib",
    "pycocotools": "pycocotools",
    "cv2": "opencv-python-headless",
    "mmcv": "mmcv-lite",
    "mmdet": "mmdet",
    "mmseg": "mmsegmentation",
    "tokenizers": "tokenizers",
    "safetensors": "safetensors",
    "soundfile": "soundfile",
    "PIL": "pillow",
    "av": "av",
    "sentence_transformers": "sentence-transformers",
    "mteb": "mteb",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "onnxscript": "onnxscript",
}
"""Import name -> distribution."""

BUILT_FOR = {"torchvision": "torch", "torchaudio": "torch"} | dict.fromkeys(
    ("scipy", "matplotlib", "pycocotools", "cv2"), "numpy"
)
"""Library -> the one whose binary interface it was compiled for."""


class LibraryError(ImportError):
    """A library that is missing or does not load; the message names versions and remedy in one line."""


@contextmanager
def importing() -> Iterator[None]:
    """Name versions and remedy where an import statement inside fails.

    Raises:
        LibraryError: A library is missing or does not load.
    """
    try:
        yield
    except Exception as error:
        found = library_error(error)
        if found is None:
            raise
        raise found from error


def library_error(error: BaseException) -> LibraryError | None:
    """Return the one-line error if ``error`` comes from the import of a library, else None."""
    if isinstance(error, LibraryError):
        return error
    if isinstance(error, ModuleNotFoundError) and error.name in LIBRARIES:
        return LibraryError(f"{error.name} is not installed; pip install {_requirement(error.name)}")
    modules = [
        str(frame.f_globals.get("__name__")).partition(".")[0]
        for frame, _ in walk_tb(error.__traceback__)
        if frame.f_code.co_name == "<module>"
    ]
    library = next((name for name in reversed(modules) if name in LIBRARIES), None)
    if library is None:
        return None
    partner = BUILT_FOR.get(library)
    beside = f" with {_named(partner)}" if partner else ""
    wanted = " ".join(_requirement(name) for name in (library, partner) if name)
    reason = " ".join(str(error).split())
    return LibraryError(
        f"{_named(library)} does not load{beside} ({reason}); pip install --force-reinstall {wanted}"
    )


def _named(library: str) -> str:
    """Return a library's distribution and its installed version."""
    for name in (LIBRARIES[library], "opencv-python") if library == "cv2" else (LIBRARIES[library],):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return LIBRARIES[library]


def _requirement(library: str) -> str:
    """Return what this package asks of a library, quoted for a shell; its name alone where that is all there is."""
    name = LIBRARIES[library]
    try:
        asked = [said.partition(";")[0].strip() for said in requires("onepeace-pl") or ()]
    except PackageNotFoundError:  # a checkout on PYTHONPATH
        asked = []
    found = next((said for said in asked if re.split(r"[^\w.-]", said)[0] == name), name)
    return f"'{found}'"
