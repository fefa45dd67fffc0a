"""Classes that an untrusted config may name: one beside a checkpoint, or of the task in a model folder.

The parser imports only classes of this package, of plug-ins with an entry point, and parts of Lightning and torch.
jsonargparse looks at every dotted path before it imports it.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from jsonargparse import set_parsing_settings
from jsonargparse._common import parsing_settings  # the policy has no public way back

from onepeace_pl.utils.plugins import plugin_packages

TRUST = "--trust"
TRUST_HELP = f"{TRUST}: import whatever class the files of --ckpt_path and model.init_from name."
PARTS = (
    "onepeace_pl",
    "torch.optim",
    "torchvision.transforms",
    *(f"lightning.pytorch.{part}" for part in ("callbacks", "loggers", "strategies", "plugins", "profilers")),
    "lightning.fabric.plugins",
)
NO_PARTS = ("onepeace_pl.__main__", "onepeace_pl.cli", "onepeace_pl.commands")
DENIED = re.compile(r"Importing '([\w.]+)' is not allowed")


@contextmanager
def known_classes(also: Iterable[str] = ()) -> Iterator[None]:
    """Let the parser import nothing else.

    Args:
        also: Further modules, which the process has imported already.
    """
    names = ("import_path_verdicts", "import_paths_enforced")
    before = {name: parsing_settings[name] for name in names}
    set_parsing_settings(
        import_path_denylist=["*", *NO_PARTS],
        import_path_allowlist=[*PARTS, *sorted(plugin_packages()), *also],
    )
    try:
        yield
    finally:
        parsing_settings.update(before)


def denied(message: str) -> str | None:
    """Return the line for a class that was not imported, None where ``message`` is about something else."""
    found = DENIED.search(message)
    if found is None:
        return None
    return (
        f"{found[1]} is no class of onepeace_pl or of a plug-in; say {TRUST} if you trust the run that names it, or "
        "give its config.yaml with --config"
    )
