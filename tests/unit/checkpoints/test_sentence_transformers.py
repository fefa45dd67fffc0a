"""Files of sentence-transformers in a model folder; the library itself is not needed to write them."""

import ast
import json
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_folder_names_the_class_that_loads_it(model, tmp_path):
    model.save_pretrained(tmp_path)
    ((entry),) = json.loads((tmp_path / "modules.json").read_text())
    assert (entry["idx"], entry["name"], entry["path"]) == (0, "0", "")
    module, _, name = entry["type"].rpartition(".")
    code = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    assert name in {node.name for node in code.body if isinstance(node, ast.ClassDef)}
    settings = json.loads((tmp_path / "config_sentence_transformers.json").read_text())
    assert settings == {"model_type": "SentenceTransformer", "similarity_fn_name": "cosine"}
