"""The command line: configs, Trainer verbs and errors. Nothing heavy is imported before the verb is known.

``fit``, ``validate``, ``test`` and ``predict`` belong to the Trainer. Every other verb is a module or package
``onepeace_pl/commands/<verb>`` with ``main(argv) -> exit code``; its docstring's first line is its help. ``predict``
is both: options alone go to the Trainer, words that begin with a run go to the file.

Exit codes: 0 done, 2 something that the user can put right (one line ``error: ...``), 1 anything else.
``ONEPEACE_PL_DEBUG=1`` shows the traceback of the former too.
"""

import ast
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import onepeace_pl
from onepeace_pl.cli.failures import user_message
from onepeace_pl.errors import nearest

__all__ = ["commands", "console", "main"]

TRAINER_VERBS = {
    "fit": "Train what a config describes.",
    "validate": "Measure on the validation data.",
    "test": "Measure on the test data.",
    "predict": "Write predictions.",
}
PREDICT = "predict"
_COMMANDS = Path(onepeace_pl.__file__).parent / "commands"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: The words after the program's name; None takes those of this process.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    verbs = TRAINER_VERBS | commands()
    verb = words[0] if words else "--help"
    if verb in ("-h", "--help"):
        print(_overview(verbs))
        return 0
    if verb in ("-V", "--version"):
        print(onepeace_pl.__version__)
        return 0
    if verb not in verbs:
        print(f"error: no verb '{verb}'; {nearest(verb, verbs, 'see --help')}", file=sys.stderr)
        return 2
    try:
        code = _run(verb, words)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # the parser's own: --help, --print_config, an error
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BrokenPipeError:
        if is_trainers(words):  # there, it may be a worker's
            raise
        # the reader of a pipe, such as `head`, has closed it; the remaining output must go somewhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + 13  # as of a process that SIGPIPE has ended
    except Exception as error:
        line = user_message(error)
        if line is None or os.environ.get("ONEPEACE_PL_DEBUG") == "1":
            raise
        print("error:", line, file=sys.stderr)
        return 2


def console() -> int:
    """Entry point of the installed script; like ``python -m``, it sees classes in the working directory."""
    sys.path.insert(0, os.getcwd())
    return main()


def commands() -> dict[str, str]:
    """Find the verbs beside the Trainer's and their one-line help, without importing them."""
    found = {}
    files = {path.stem: path for path in _COMMANDS.glob("[!_]*.py")}
    files |= {path.parent.name: path for path in _COMMANDS.glob("[!_]*/__init__.py")}
    for name, path in sorted(files.items()):
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[name.replace("_", "-")] = doc.partition("\n")[0]
    return found


def is_trainers(words: Sequence[str]) -> bool:
    """Return whether a command is the Trainer's; ``predict`` is where its first word is an option."""
    if words[0] == PREDICT:
        return len(words) > 1 and words[1].startswith("-") and words[1] not in ("-h", "--help")
    return words[0] in TRAINER_VERBS


def _run(verb: str, words: list[str]) -> int:
    if is_trainers(words):
        _import("onepeace_pl.cli.lightning").run(words)
        return 0
    code: int = _import(f"onepeace_pl.commands.{verb.replace('-', '_')}").main(words[1:])
    return code


def _import(name: str) -> ModuleType:
    collects = gc.isenabled()
    gc.disable()  # importing torch and Lightning makes a million objects and no garbage
    try:
        return import_module(name)
    finally:
        if collects:
            gc.enable()


def _overview(verbs: Mapping[str, str]) -> str:
    width = max(map(len, verbs)) + 2
    lines = [f"  {name:{width}}{text}" for name, text in verbs.items()]
    return "\n".join(["usage: python -m onepeace_pl VERB ...", "", *lines, "", "VERB --help tells more."])
