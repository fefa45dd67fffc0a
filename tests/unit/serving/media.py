"""Files in base64, as clients send them."""

from __future__ import annotations

import base64
from pathlib import Path


def encoded(content: str | bytes) -> str:
    """Return a file, or bytes, in base64."""
    found = Path(content).read_bytes() if isinstance(content, str) else content
    return base64.b64encode(found).decode()


def url(content: str | bytes, kind: str = "image/png") -> str:
    """Return the same as a data URL."""
    return f"data:{kind};base64,{encoded(content)}"
