"""Files of sentence-transformers in a model folder: the class that loads it. Nothing in this package reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from onepeace_pl.utils.files import write_text

MODULES, SETTINGS = "modules.json", "config_sentence_transformers.json"
MODULE_CLASS: Final = "onepeace_pl.integrations.sentence_transformers.OnePeaceModule"


def write_sentence_transformers_files(folder: Path) -> None:
    """Write ``modules.json`` and the settings, with which ``SentenceTransformer(folder)`` loads a model folder."""
    modules = [{"idx": 0, "name": "0", "path": "", "type": MODULE_CLASS}]
    settings = {"model_type": "SentenceTransformer", "similarity_fn_name": "cosine"}
    write_text(folder / MODULES, json.dumps(modules, indent=2) + "\n")
    write_text(folder / SETTINGS, json.dumps(settings, indent=2) + "\n")
