"""``--endings .npy=motion``: files of the modality of a plug-in, told by their endings."""

import argparse
from collections.abc import Sequence

from onepeace_pl.errors import UserError


def add_endings_option(parser: "argparse._ActionsContainer") -> None:
    """Add ``--endings``, which :func:`parse_endings` reads."""
    parser.add_argument(
        "--endings",
        nargs="+",
        metavar="ENDING=MODALITY",
        default=[],
        help="files of a modality of a plug-in: .npy=motion",
    )


def parse_endings(words: Sequence[str]) -> dict[str, str]:
    """Return ending to modality.

    Raises:
        UserError: A word is no ending and a modality.
    """
    found = {}
    for word in words:
        ending, _, modality = word.partition("=")
        if not ending.startswith(".") or not modality:
            raise UserError(f"--endings {word}: write ENDING=MODALITY, such as .npy=motion")
        found[ending.lower()] = modality
    return found
