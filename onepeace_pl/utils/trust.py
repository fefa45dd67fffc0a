"""Trust model: the classes that model folders and checkpoints may name.

The user's own config may name any class. An untrusted file may name classes of this package, of
plug-ins (entry points ``onepeace_pl.plugins``) and of modules that the process has imported already; no other
module is imported for it, unless the user trusts it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TypeVar

from onepeace_pl.errors import UserError
from onepeace_pl.utils.plugins import plugin_packages

T = TypeVar("T")
HOW = "pass trust_remote_code=True (--trust on the command line) if you trust its author"


def find_class(path: object, base: type[T], owner: str, trust: bool = False) -> type[T]:
    """Return the class of a dotted path.

    Args:
        path: For instance ``my_sensor.MotionAdapter``.
        base: Required base class.
        owner: Owner of the name, for errors.
        trust: Import its module, whatever it is.

    Raises:
        UserError: The class cannot be found, or its module would have to be imported and is not trusted.
        UserError: It is no ``base``.
    """
    module, _, name = str(path).rpartition(".")
    known = trust or (module.startswith("onepeace_pl.") and not module.endswith("__main__"))
    if not (known or sys.modules.get(module)):
        known = module.partition(".")[0] in plugin_packages()
        if not known:
            raise UserError(f"{owner}: {path} is neither a class of onepeace_pl nor of a plug-in; {HOW}")
    try:
        found = getattr(import_module(module), name) if known else vars(sys.modules[module])[name]
    except (ImportError, AttributeError, ValueError, KeyError) as error:
        raise UserError(f"{owner}: cannot import {path}; is its folder on PYTHONPATH?") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise UserError(f"{owner}: {path} is no {base.__name__}")
    return found
