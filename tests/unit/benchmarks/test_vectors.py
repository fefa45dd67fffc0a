"""Forms of vectors, their sizes, and recall by them on a gallery that a model tells apart."""

import numpy as np
import pytest
import torch

from onepeace_pl.benchmarks.vectors import VectorForm, compare_vectors, forms, table
from onepeace_pl.data.evaluation.gallery import Gallery
from onepeace_pl.data.source import Row, RowList
from onepeace_pl.errors import UserError

from ..hub.conftest import TEXTS, make_model

rng = np.random.default_rng(0)


def gallery() -> Gallery:
    rows = [
        Row(str(i), {"image": rng.integers(0, 256, (32, 32, 3), dtype=np.uint8), "text": text})
        for i, text in enumerate(TEXTS)
    ]
    return Gallery(name="few", query=("image",), target=("text",), rows=RowList(rows))


def test_forms_and_their_sizes() -> None:
    found = forms(64)
    assert {form.dim for form in found} == {64, 32, 16, 8}
    sizes = {str(form): form.bytes for form in found if form.kind == "pooled" and form.dim == 64}
    assert sizes == {"float32": 256, "int8": 64, "binary": 8, "binary, 40 rescored": 264}
    assert [str(form) for form in forms(64, [12]) if form.kind == "pooled"] == ["float32", "int8"]
    with pytest.raises(UserError, match="length 65: the model's vectors have 64 values"):
        forms(64, [65])


def test_recall_is_that_of_the_embedder() -> None:
    model, pairs = make_model(), gallery()
    wanted = [*forms(model.dim, [model.dim, 8])]
    results = {(r.form.kind, r.form.dim, str(r.form)): r for r in compare_vectors(model, pairs, wanted)}
    images = [row.fields["image"] for row in pairs.rows]
    right = torch.arange(len(TEXTS))
    for dim in (model.dim, 8):
        model.backbone.add_matryoshka_dims([model.dim, dim][: 1 + (dim < model.dim)])
        for precision in ("float32", "int8"):
            a, b = (
                model.encode(truncate_dim=dim, precision=precision, **side)
                for side in ({"image": images}, {"text": TEXTS})
            )
            best = model.similarity(a, b, precision).argmax(1)
            found = results["pooled", dim, precision].recall["image->text"].value
            assert found == pytest.approx((best == right).float().mean().item())
        tokens = [model.encode(tokens=True, truncate_dim=dim, image=images)]
        tokens.append(model.encode(tokens=True, truncate_dim=dim, text=TEXTS))
        best = model.maxsim(*tokens).argmax(1)
        found = results["tokens", dim, "float32"]
        assert found.recall["image->text"].value == pytest.approx((best == right).float().mean().item())
        mean = sum(map(len, tokens[1])) / len(TEXTS)
        assert found.bytes["text"] == pytest.approx(mean * dim * 4)
    whole = [results["pooled", model.dim, name].recall for name in ("float32", "binary, 40 rescored")]
    assert whole[0] == whole[1]  # all are among the best 40
    lines = list(table(list(results.values())))
    assert len(lines) == 2 + len(wanted)
    assert len({line.count("|") for line in lines}) == 1


def test_sides_of_several_modalities_are_refused() -> None:
    model = make_model()
    composed = Gallery(name="both", query=("image", "audio"), target=("text",), rows=gallery().rows)
    with pytest.raises(UserError, match="both: vectors are compared with one modality on each side"):
        compare_vectors(model, composed, [VectorForm("pooled", 8, "float32")])
