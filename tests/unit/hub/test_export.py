"""Exported graphs equal the embedder, for other batch sizes and lengths, on real preprocessing."""

import importlib.util
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet
from torch import Tensor

from onepeace_pl.cli import main as cli
from onepeace_pl.hub.export import export_model, graph_inputs

from .conftest import TEXTS, make_model

rng = np.random.default_rng(0)
INPUTS = {
    "image": [rng.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8) for i in range(5)],
    "text": [*TEXTS, "snow"],
    "audio": [rng.normal(size=16000 + 1500 * i).astype(np.float32) for i in range(5)],
}
GRAPHS = [["image"], ["text"], ["audio"], ["text", "image"], ["text", "image", "audio"]]
needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="the extra `export` is not installed",
)


def graphs(*quick: str) -> list[ParameterSet]:
    """Return the combinations; those that are not named are slow."""
    names = ["+".join(graph) for graph in GRAPHS]
    return [
        pytest.param(graph, id=name, marks=[] if name in quick else [pytest.mark.slow])
        for graph, name in zip(GRAPHS, names, strict=True)
    ]


@torch.no_grad()
def check(model, names, run: Callable[[dict[str, Tensor]], Tensor]) -> None:
    for count in (1, 4, 5):
        expected = model.encode(fuse="joint", **{name: INPUTS[name][-count:] for name in names})
        inputs = graph_inputs(model, **{name: INPUTS[name][-count:] for name in names})
        torch.testing.assert_close(run(inputs), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("names", graphs("image", "text", "audio"))
def test_torch_graphs_equal_the_embedder(model, tmp_path, names):
    (graph,) = export_model(model, tmp_path, ["+".join(names)], "torch")
    assert graph.max_difference < 1e-5
    check(model, names, torch.export.load(tmp_path / graph.file).module())
    described = json.loads((tmp_path / "export.json").read_text())
    (entry,) = described["graphs"].values()
    assert list(entry["inputs"]) == list(graph_inputs(model, **{name: INPUTS[name] for name in names}))
    assert all(each["shape"][0] == "batch" for each in entry["inputs"].values())
    assert set(described["preprocessing"]) == set(names)
    assert graph.file in (tmp_path / "README.md").read_text()


@needs_onnx
@pytest.mark.parametrize("names", graphs("text+image"))
def test_onnx_graphs_equal_the_embedder(model, tmp_path, names):
    from onnxruntime import InferenceSession

    (graph,) = export_model(model, tmp_path, ["+".join(names)])
    session = InferenceSession(tmp_path / graph.file)

    def run(inputs: dict[str, Tensor]) -> Tensor:
        return torch.from_numpy(session.run(None, {name: x.numpy() for name, x in inputs.items()})[0])

    check(model, names, run)


@needs_onnx
@pytest.mark.slow
def test_int8_graphs_are_smaller_and_close(model, tmp_path):
    from onnxruntime import InferenceSession

    sizes = {}
    for weights in ("float32", "int8"):
        (graph,) = export_model(model, tmp_path / weights, ["image"], weights=weights)
        path = tmp_path / weights / graph.file
        session = InferenceSession(path)
        inputs = graph_inputs(model, image=INPUTS["image"])
        vectors = session.run(None, {name: x.numpy() for name, x in inputs.items()})[0]
        cosines = (torch.from_numpy(vectors) * model.encode(image=INPUTS["image"])).sum(1)
        assert cosines.min() > (0.99 if weights == "int8" else 1 - 1e-5)  # random weights, width 32
        sizes[weights] = sum(len(each.raw_data) for each in onnx_initializers(path))
        described = json.loads((tmp_path / weights / "export.json").read_text())["graphs"]["image"]
        assert described["weights"] == weights == graph.weights
    assert sizes["int8"] < 0.8 * sizes["float32"]


def onnx_initializers(path):
    import onnx

    return onnx.load(path).graph.initializer


def test_inputs_of_graphs_have_a_padding_also_where_nothing_is_padded(model):
    alone = graph_inputs(model, text=TEXTS[:1], audio=INPUTS["audio"][:1])
    assert list(alone) == ["text", "text_padding", "audio", "audio_padding"]
    assert alone["text_padding"].shape == (1, alone["text"].shape[1] + 1)
    assert not alone["text_padding"].any()
    assert not alone["audio_padding"].any()
    several = graph_inputs(model, text=TEXTS)["text_padding"]
    assert several.any()
    assert not several[:, 0].any()  # CLS
    assert list(graph_inputs(model, image=INPUTS["image"])) == ["image"]
    with pytest.raises(ValueError, match="no modality 'smell'"):
        graph_inputs(model, smell=["a"])


def test_what_cannot_be_exported(model, tmp_path, capsys):
    with pytest.raises(ValueError, match="no modality 'smell'"):
        export_model(model, tmp_path, ["smell"], "torch")
    with pytest.raises(ValueError, match="twice"):
        export_model(model, tmp_path, ["text+text"], "torch")
    with pytest.raises(ValueError, match="choose one of onnx, torch"):
        export_model(model, tmp_path, format="tflite")
    with pytest.raises(ValueError, match="choose one of float32, int8"):
        export_model(model, tmp_path, weights="int4")
    with pytest.raises(ValueError, match="is for format='onnx'"):
        export_model(model, tmp_path, format="torch", weights="int8")
    with pytest.raises(ValueError, match=r"torch\.float32"):
        export_model(make_model().to(dtype=torch.bfloat16), tmp_path, format="torch")
    model.save_pretrained(tmp_path / "m")
    words = ["export", str(tmp_path / "m"), "--to", str(tmp_path / "e"), "--modality", "smell"]
    assert cli([*words, "--format", "torch"]) == 2
    assert "smell" in capsys.readouterr().err
