"""CPU seconds until a command answers, each run in a process of its own."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile

import onepeace_pl
from onepeace_pl.errors import UserError, first_line

_CONFIG = ("--config", "configs/quickstart.yaml")
_VERB = ("-m", "onepeace_pl")


@dataclass(frozen=True)
class StartTimes:
    """CPU seconds, user and system, of one command in each round.

    Attributes:
        command: What was run.
        seconds: Those of this package.
        others: Those of the checkout that it is compared with; empty without one.
    """

    command: str
    seconds: tuple[float, ...]
    others: tuple[float, ...] = ()


def commands(model: str | None = None) -> dict[str, tuple[str, ...]]:
    """Return the measured commands, name to arguments of Python.

    Args:
        model: A model folder to be loaded.
    """
    found = {
        "import onepeace_pl": ("-c", "import onepeace_pl"),
        "from onepeace_pl import OnePeace": ("-c", "from onepeace_pl import OnePeace"),
        "info": (*_VERB, "info"),
        "info --config": (*_VERB, "info", *_CONFIG),
        "fit --help": (*_VERB, "fit", "--help"),
        "fit --config --print_config": (*_VERB, "fit", *_CONFIG, "--print_config"),
        "fit --config, one step": (*_VERB, "fit", *_CONFIG, "--trainer.fast_dev_run", "1"),
    }
    if model is not None:
        code = f"from onepeace_pl import OnePeace; OnePeace.from_pretrained({os.path.abspath(model)!r})"
        found["OnePeace.from_pretrained"] = ("-c", code)
    return found


def measure_starts(
    named: dict[str, tuple[str, ...]], rounds: int, other: Path | None = None
) -> Iterator[StartTimes]:
    """Run each command ``rounds`` times, this package and the other in turns.

    Args:
        named: Result of :func:`commands`.
        rounds: Repetitions.
        other: Another checkout of this package.

    Raises:
        UserError: ``other`` is no checkout, or a command fails.
    """
    if other is not None and not (other / "onepeace_pl" / "__main__.py").is_file():
        raise UserError(f"--compare {other} is no checkout of onepeace_pl")
    own = Path(onepeace_pl.__file__).parents[1]
    for command, words in named.items():
        pairs = [[_cpu_seconds(words, root) for root in (own, other) if root] for _ in range(rounds)]
        seconds, *others = zip(*pairs, strict=True)
        yield StartTimes(command, seconds, others[0] if others else ())


def row(times: StartTimes) -> str:
    """Return a row of a Markdown table: command, the other's seconds, these seconds; median, minimum, maximum."""
    cells = [_spread(each) for each in (times.others, times.seconds) if each]
    return f"| `{times.command}` | {' | '.join(cells)} |"


def _cpu_seconds(words: Sequence[str], root: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    path = os.pathsep.join(filter(None, (str(root.resolve()), os.environ.get("PYTHONPATH"))))
    with TemporaryFile() as said:
        code = subprocess.run(
            [sys.executable, *words],
            cwd=root,
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=said,
        ).returncode
        if code:
            said.seek(0)
            text = said.read().decode(errors="replace")
            raise UserError(f"{' '.join(words)} fails in {root}: {first_line(text, f'exit code {code}')}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _spread(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.1f} [{min(seconds):.1f} .. {max(seconds):.1f}]"
