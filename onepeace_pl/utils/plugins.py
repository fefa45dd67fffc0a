"""Plug-ins: packages with an entry point in the group ``onepeace_pl.plugins``.

An entry point names a module (``my_sensors = "my_sensors.adapters"``). It is imported when a config is first read, so
that its classes can be named without their module, and so that model folders and checkpoints may name them
(:mod:`onepeace_pl.utils.trust`). In a config of one's own a full dotted path needs no entry point. A plugin that fails
to import never stops the program: ``info`` says what is missing and why.
"""

import functools
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

GROUP = "onepeace_pl.plugins"


@dataclass(frozen=True)
class Plugin:
    """Outcome of one entry point.

    Attributes:
        name: The entry point's name.
        target: Module that it names.
        package: Distribution and version that bring it.
        error: Why it was not loaded, None where it was.
    """

    name: str
    target: str
    package: str
    error: str | None


@functools.cache
def load_plugins() -> tuple[Plugin, ...]:
    """Import every announced module once and report how that went."""
    return tuple(_load(entry) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name))


def plugin_packages() -> frozenset[str]:
    """Load plugins and return the top-level packages that announced them."""
    return frozenset(plugin.target.replace(":", ".").partition(".")[0] for plugin in load_plugins())


def _load(entry: EntryPoint) -> Plugin:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown package"
    try:
        entry.load()
    except Exception as error:
        return Plugin(entry.name, entry.value, package, f"{type(error).__name__}: {error}")
    return Plugin(entry.name, entry.value, package, None)
