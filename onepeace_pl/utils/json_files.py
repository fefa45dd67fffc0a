"""JSON files, and the type of what they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from onepeace_pl.errors import UserError

JsonObject = dict[str, Any]
"""Plain data by name: a JSON object, a YAML mapping, a resolved config.

Values are whatever the file says, as with ``json.load``; they are checked where they are used.
"""


def read_json(path: Path) -> object:
    """Read a JSON file.

    Raises:
        UserError: It is damaged.
    """
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no valid JSON: {error}") from None
    return content


def read_json_object(path: Path) -> JsonObject:
    """Read a JSON file that holds an object.

    Raises:
        UserError: It is damaged, or holds something else.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold a JSON object, not {type(content).__name__}; restore the file")
    return content
