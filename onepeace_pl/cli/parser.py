"""The parser of the Trainer's verbs: errors in one line, no abbreviated flags."""

import sys
from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from onepeace_pl.cli.explain import explain


class Parser(LightningArgumentParser):
    """LightningCLI's parser, strict and short-spoken; an abbreviated flag (``--...dept``) does not pass for
    another.
    """

    reading: tuple[str, ...] = ()  # the config file being read, after those that led to it

    def __init__(self, *args: Any, allow_abbrev: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=allow_abbrev, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print one line and leave with exit code 2."""
        if not self.exit_on_error:  # the parser of a nested class; its caller adds where
            super().error(message, ex)
        line = explain(
            message, ex, self.get_defaults().keys(), Path(self.reading[-1]) if self.reading else None
        )
        print("error:", line, file=sys.stderr)
        raise SystemExit(2)
