"""The embedding function: plain LanceDB tables of a model folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onepeace_pl.errors import UserError
from tests.unit.hub.conftest import make_model
from tests.unit.search.conftest import write_files

lancedb = pytest.importorskip("lancedb", reason="needs the extra `search`")


@pytest.mark.timeout(300)
def test_a_table_embeds_by_itself(tmp_path, monkeypatch):
    from lancedb.embeddings import get_registry
    from lancedb.pydantic import LanceModel, Vector

    import onepeace_pl.integrations.lancedb  # noqa: F401

    monkeypatch.chdir(tmp_path)
    write_files(Path("files"))
    model = make_model()
    model.save_pretrained("m")
    function = get_registry().get("onepeace").create(folder="m", device="cpu")

    class Photo(LanceModel):
        image: str = function.SourceField()
        vector: Vector(function.ndims()) = function.VectorField()  # type: ignore[valid-type]

    names = [f"files/{i}.png" for i in range(6)]
    table = lancedb.connect("db").create_table("photos", schema=Photo)
    table.add([{"image": name} for name in names])
    with pytest.raises(Exception, match=r"none\.png: no such image"):  # at once, without LanceDB's retries
        table.add([{"image": "none.png"}])
    table = lancedb.connect("db").open_table("photos")  # which knows folder and modality
    stored = np.array(table.to_arrow()["vector"].to_pylist(), dtype=np.float32)
    np.testing.assert_allclose(stored, model.encode(image=names), atol=1e-6)
    queries = {
        "a dog": model.encode(text=["a dog"]),
        Path("files/2.png"): model.encode(image=["files/2.png"]),
    }
    for query, vector in queries.items():
        hits = table.search(query, vector_column_name="vector").limit(6).to_list()
        assert [hit["image"] for hit in hits] == [
            names[i] for i in np.argsort(-(vector.numpy() @ stored.T)[0])
        ]
    (composed,) = function.compute_query_embeddings({"text": "a dog", "image": names[0]})
    np.testing.assert_allclose(composed, model.encode(text=["a dog"], image=[names[0]])[0], atol=1e-6)
    with pytest.raises(UserError, match="empty query"):
        function.compute_query_embeddings({})
