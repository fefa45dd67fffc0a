"""Run folders: their names, older runs of the same name, and the config of a checkpoint.

``runs/NAME/`` holds ``config.yaml``, ``metrics.csv``, TensorBoard's events, ``checkpoints/`` and whatever
callbacks add (``model/``, ``report.md``). The path stays the same for every run of that name, so a later
config can refer to ``runs/quickstart/model``; an older run moves aside to ``runs/NAME.1`` and so on.
"""

import itertools
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

from onepeace_pl.errors import UserError
from onepeace_pl.utils.claim import HOST, INHERITED, Claim, claim_file
from onepeace_pl.utils.files import existing, recover

RUNS = Path("runs")
CONFIG = "config.yaml"
CHECKPOINTS = "checkpoints"
KEYWORDS = ("best", "last")  # checkpoints of the run's own folder
LOG, TRIAL = "log.txt", "trial.json"  # what a sweep puts into the folder before its run begins
STOPPED = "stopped by a signal"


def run_folder(run: str) -> Path:
    """Return the folder of a run given by name (``quickstart`` -> ``runs/quickstart``) or by path."""
    is_name = os.sep not in run and "/" not in run and run not in (".", "..")
    return RUNS / run if is_name else Path(os.path.normpath(os.path.expanduser(run)))


def default_run(words: Sequence[str]) -> str:
    """Return the run's name where none is given: the stem of the first ``--config`` on the command line."""
    configs = values_of(words, "-c", "--config")
    return Path(configs[0]).stem if configs else "unnamed"


def values_of(words: Sequence[str], *names: str) -> list[str]:
    """Return the values that the command line gives to an option: ``--name value`` and ``--name=value``."""
    found = []
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in names and (equals or at + 1 < len(words)):
            found.append(value if equals else words[at + 1])
    return found


def with_run_of_checkpoint(words: list[str]) -> list[str]:
    """Add to ``--ckpt_path`` without ``--config`` the checkpoint's run: ``config.yaml`` and folder."""
    checkpoints = values_of(words, "--ckpt_path")
    if not checkpoints or values_of(words, "-c", "--config"):
        return words
    if checkpoints[-1] not in KEYWORDS and Path(checkpoints[-1]).exists():
        _check_kind(Path(checkpoints[-1]))
    folder = run_of_checkpoint(checkpoints[-1])
    if not (folder / CONFIG).is_file():
        return words
    return [words[0], "--config", str(folder / CONFIG), "--run", spelled(folder), *words[1:]]


def run_of_checkpoint(checkpoint: str) -> Path:
    """Return the run folder that ``RUN/checkpoints/x.ckpt`` belongs to, seen from the working directory."""
    return Path(os.path.relpath(Path(os.path.abspath(checkpoint)).parent.parent))


def spelled(folder: Path) -> str:
    """Return ``folder`` as a value of ``--run`` that is not taken for a name."""
    return str(folder) if os.sep in str(folder) else os.path.join(os.curdir, folder)


def continues(folder: Path, checkpoint: str | None) -> bool:
    """Return whether ``checkpoint`` belongs to the run in ``folder``, so that training goes on there."""
    if checkpoint is None:
        return False
    return run_of_checkpoint(checkpoint) == Path(os.path.relpath(folder))


def find_checkpoint(checkpoint: str | None, folder: Path) -> str | None:
    """Return the path of a checkpoint that is given by path, or by ``best`` or ``last``: that of the run.

    Raises:
        UserError: There is no such file or folder, or the file is no checkpoint.
    """
    if checkpoint is None:
        return None
    path = existing(
        folder / CHECKPOINTS / f"{checkpoint}.ckpt" if checkpoint in KEYWORDS else Path(checkpoint)
    )
    if not path.exists():
        raise UserError(f"--ckpt_path: no file or folder '{path}'")
    _check_kind(path)
    return str(path)


def hold(folder: Path) -> Claim | None:
    """Claim a run folder for this process, and clear away what a run that was killed there has not written whole.

    Returns:
        The claim, to be given up when the run has ended; None where a sweep holds it for this process.

    Raises:
        UserError: Another process is training there.
    """
    path = claim_file(folder)
    claim = None if os.environ.get(INHERITED) == str(path) else Claim(path)
    if claim is not None and not claim.held:
        hint = "" if claim.owner.startswith(HOST) else f"; if that run has ended, remove {path}"
        raise UserError(f"a run is at work in '{folder}': {claim.owner}; choose another --run{hint}")
    for place in (folder, folder / CHECKPOINTS):
        recover(place)
    return claim


def _check_kind(path: Path) -> None:
    """Reject a file that is no checkpoint, with a hint at its format."""
    if path.is_file() and zipfile.is_zipfile(path):
        _check_archive(path)
        return
    if path.is_dir() and any((path / name).is_file() for name in (".metadata", "meta.pt")):  # a sharded one
        return
    hint = f"a run writes them to RUN/{CHECKPOINTS}/"
    for folder in (path / CHECKPOINTS, path):  # a run folder, or the folder of its checkpoints
        names = [name for name in KEYWORDS if (folder / f"{name}.ckpt").exists()]
        if names:
            hint = "give " + " or ".join(str(folder / f"{name}.ckpt") for name in names)
            break
    if (path / "model.safetensors").is_file():
        hint = f"a model folder goes to --model.init_from {path}"
    raise UserError(f"--ckpt_path: '{path}' is no checkpoint; {hint}")


def _check_archive(path: Path) -> None:
    """Reject a checkpoint that is damaged outside its weights, for which torch has no checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if "/data/" not in name:
                    archive.read(name)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"--ckpt_path: '{path}' is damaged ({error}); give another") from None


def claim(folder: Path, resume: bool) -> str | None:
    """Make ``folder`` free for a run.

    Args:
        folder: The run folder.
        resume: The run in it goes on, so that everything stays.

    Returns:
        A line for the user where an older run has moved.

    Raises:
        UserError: ``folder`` holds something that is no run.
    """
    if resume or not folder.exists() or {path.name for path in folder.iterdir()} <= {LOG, TRIAL}:
        return None
    is_run = folder.parent == RUNS or (folder / CONFIG).is_file() or any(folder.glob("report*.md"))
    if not is_run:
        raise UserError(f"'{folder}' is not empty and holds no run (no {CONFIG}); choose another --run")
    older = first_free(folder)
    folder.rename(older)
    return f"older run moved to {older}"


def first_free(path: Path) -> Path:
    """Return the first of ``path.1``, ``path.2`` ... that is free; of a file the number goes before the ending."""
    stem, suffix = (path.stem, path.suffix) if path.is_file() else (path.name, "")
    numbers = itertools.count(1)
    return next(older for n in numbers if not (older := path.with_name(f"{stem}.{n}{suffix}")).exists())
