"""One-line errors for libraries that do not load, with versions and remedy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

from onepeace_pl.cli.failures import user_message
from onepeace_pl.data.loading.dataset import PreparedRows
from onepeace_pl.data.source import Row, Source
from onepeace_pl.modalities import AudioProcessor
from onepeace_pl.utils.libraries import LibraryError

ROOT = Path(__file__).parents[2]
LOADS = "import ctypes, pathlib\nctypes.CDLL(str(pathlib.Path(__file__).with_name('library.so')))\n"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder with torchaudio and torchvision, whose compiled parts the loader of the system refuses."""
    for name in ("torchaudio", "torchvision"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(LOADS)
        (tmp_path / name / "library.so").write_bytes(b"of another world" * 99)
    return tmp_path


@pytest.fixture
def without_torchaudio(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(broken)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)


def line(library: str) -> str:
    """Return the pattern of what is said."""
    return (
        rf"{library} {re.escape(version(library))} does not load with torch {re.escape(version('torch'))} "
        rf"\(.*library\.so.*\); pip install --force-reinstall '?{library}.* '?torch.*"
    )


class Sounds(Source):
    """Sounds that need resampling."""

    modalities = ("audio",)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Row:
        return Row(str(index), {"audio": (np.random.default_rng(index).normal(size=9000), 8000)})


@pytest.mark.usefixtures("without_torchaudio")
def test_a_processor_names_versions_and_remedy() -> None:
    with pytest.raises(LibraryError, match=line("torchaudio")) as caught:
        AudioProcessor(resample=True)(Sounds()[0].fields["audio"])
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("without_torchaudio")
@pytest.mark.parametrize("workers", [0, 1])
def test_rows_are_not_to_blame(workers: int) -> None:
    """``on_error: skip`` is for bad rows."""
    rows = PreparedRows(Sounds(), {"audio": AudioProcessor(resample=True)}, on_error="skip")
    fork = "fork" if workers else None  # which keeps the folder on the path
    loader = DataLoader(
        rows, sampler=[(0, 0)], batch_size=None, num_workers=workers, multiprocessing_context=fork
    )
    with pytest.raises(LibraryError) as caught:
        list(loader)
    assert re.fullmatch(line("torchaudio"), user_message(caught.value) or "")


def test_a_verb_and_the_package_say_it(broken: Path) -> None:
    """Everything imports torchmetrics, which imports torchvision."""
    code = (
        "import onepeace_pl\nfrom onepeace_pl.cli import main\n"
        "assert main(['info', '--config', 'quickstart']) == 2\n"
        "try: onepeace_pl.Experiment\n"
        "except ImportError as error: print('import:', error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(broken), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=broken, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(f"error: {line('torchvision')}\n", done.stderr)
    assert re.fullmatch(f"import: {line('torchvision')}", done.stdout.splitlines()[-1])
