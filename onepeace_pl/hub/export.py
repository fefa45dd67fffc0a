"""Export of the embedder to ONNX or ``torch.export``, with a batch and lengths that may vary.

Shapes: B batch, L tokens with the CLS token at index 0, D width.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from onepeace_pl.backbone import Backbone
from onepeace_pl.errors import UserError
from onepeace_pl.hub.calibration import joint_name
from onepeace_pl.hub.onepeace import OnePeace
from onepeace_pl.hub.weights import check_plain
from onepeace_pl.modalities import ModalityAdapter, ModalityInput, Processor, RawInput
from onepeace_pl.modalities.text.tokenizer import HasTokenizer
from onepeace_pl.utils.files import replacing, write_text
from onepeace_pl.utils.json_files import JsonObject
from onepeace_pl.utils.libraries import importing
from onepeace_pl.version import VERSION

Format = Literal["onnx", "torch"]
GraphWeights = Literal["float32", "int8"]
ENDINGS: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}
PADDING = "_padding"
OUTPUT = "vector"  # `embedding` is a node of some graphs, and ONNX refuses the same name twice
TOKENIZER = "tokenizer.json"
LIMIT = 1_500_000_000  # bytes of weights; beyond 2 GB a protobuf must have them beside it


@dataclass(frozen=True)
class GraphInput:
    """One input of an exported graph.

    Attributes:
        dtype: Such as ``float32``.
        shape: Sizes; a name where the size may vary.
        meaning: What it holds.
    """

    dtype: str
    shape: tuple[int | str, ...]
    meaning: str


@dataclass(frozen=True)
class ExportedGraph:
    """One exported graph.

    Attributes:
        modalities: What it reads; several in one joint pass.
        file: Its name.
        inputs: Its inputs by name, in order.
        output: Name of the output, (B, D) float32 unit vectors.
        max_difference: Greatest difference to the model on random inputs of another batch size and length.
        weights: Type of the weights of matrix products.
    """

    modalities: tuple[str, ...]
    file: str
    inputs: Mapping[str, GraphInput]
    output: str
    max_difference: float
    weights: GraphWeights = "float32"


class EmbeddingGraph(nn.Module):
    """The backbone with tensors by name as its input: values, and ``NAME_padding`` of sequences.

    Args:
        backbone: The backbone.
        modalities: What is read, in one joint pass where it is several.
    """

    def __init__(self, backbone: Backbone, modalities: Sequence[str]) -> None:
        super().__init__()
        self.backbone, self.modalities = backbone, tuple(modalities)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return unit vectors (B, D)."""
        fields = {
            name: ModalityInput(inputs[name], inputs.get(f"{name}{PADDING}")) for name in self.modalities
        }
        return self.backbone.embed_fused(fields, "joint")


@torch.no_grad()
def export_model(
    model: OnePeace,
    folder: str | Path,
    modalities: Sequence[str] | None = None,
    format: Format = "onnx",
    weights: GraphWeights = "float32",
) -> list[ExportedGraph]:
    """Write one graph for each modality or combination, ``export.json`` and ``README.md``.

    Args:
        model: The model, in float32 on the CPU.
        folder: Folder of the files; made if missing.
        modalities: Names, and combinations such as ``image+text`` for one joint pass; None for each modality alone.
        format: ``onnx`` (needs the extra ``export``) or ``torch``, for ``torch.export.load``.
        weights: ``int8`` for dynamic quantization of matrix products by ONNX Runtime: int8 weights, and activations
            that are quantized as they come.

    Returns:
        The graphs, as ``export.json`` describes them.

    Raises:
        UserError: An unknown format, modality or kind of weights, int8 of another format than ``onnx``, a model of
            other dtype or device or with int8 weights, or an adapter that makes no random values to trace with.
        LibraryError: onnx, onnxscript or onnxruntime is missing.
    """
    if format not in get_args(Format):
        raise UserError(f"format={format!r}: choose one of {', '.join(get_args(Format))}")
    if weights not in get_args(GraphWeights):
        raise UserError(f"weights={weights!r}: choose one of {', '.join(get_args(GraphWeights))}")
    if weights == "int8" and format != "onnx":
        raise UserError("weights='int8' is for format='onnx'; ONNX Runtime quantizes its graphs")
    if model.device.type != "cpu" or model.dtype != torch.float32:
        raise UserError(
            f"weights of {model.dtype} on {model.device} cannot be exported; load the model with device='cpu', "
            "dtype=torch.float32"
        )
    check_plain(model.backbone, "exported")
    if format == "onnx":
        with importing():
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401
    chosen = [_combination(model, names) for names in modalities or model.modalities]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    graphs = [_export(model, folder, names, format, weights) for names in chosen]
    write_text(
        folder / "export.json", json.dumps(_description(model, folder, format, graphs), indent=2) + "\n"
    )
    write_text(folder / "README.md", _readme(model, format, graphs))
    return graphs


@torch.no_grad()
def graph_inputs(model: OnePeace, **items: Sequence[RawInput]) -> dict[str, Tensor]:
    """Return the inputs of an exported graph for raw items, prepared as by :meth:`OnePeace.encode`.

    Args:
        model: The model that was exported.
        items: By modality of the graph, B items.

    Returns:
        Values by modality, and ``NAME_padding`` (B, L) of sequences: all False where nothing is padded.

    Raises:
        UserError: The model has no such modality, or an item cannot be used.
    """
    inputs = {}
    for name in _combination(model, "+".join(items)):
        adapter, processor = model.backbone.encoder.adapter(name), model.processor(name)
        batch = processor.collate([processor(item) for item in items[name]])
        inputs[name] = batch.values
        if _is_sequence(name, adapter):
            padding = batch.padding
            inputs[f"{name}{PADDING}"] = _no_padding(adapter, batch.values) if padding is None else padding
    return inputs


def _combination(model: OnePeace, names: str) -> tuple[str, ...]:
    parts = tuple(names.split("+"))
    for name in parts:
        if name not in model.modalities:
            raise UserError(f"no modality {name!r}; the model has {', '.join(model.modalities)}")
    if len(set(parts)) < len(parts):
        raise UserError(f"{names!r} names a modality twice")
    return tuple(sorted(parts, key=model.modalities.index))


def _export(
    model: OnePeace, folder: Path, names: tuple[str, ...], format: Format, weights: GraphWeights
) -> ExportedGraph:
    graph = EmbeddingGraph(model.backbone, names).eval()
    full, part = (_random(model.backbone, names, batch, share) for batch, share in ((2, 1.0), (3, 0.6)))
    dynamic = {
        name: {axis: Dim.DYNAMIC for axis, size in enumerate(x.shape) if size != part[name].shape[axis]}
        for name, x in full.items()
    }
    path = folder / f"{joint_name(names)}{ENDINGS[format]}"
    was_training = model.backbone.training
    model.backbone.eval()
    try:
        program = torch.export.export(graph, (full,), dynamic_shapes={"inputs": dynamic})
        write = _write_torch if format == "torch" else partial(_write_onnx, names=list(full), weights=weights)
        run = write(program, path)
        difference = (run(part) - graph(part)).abs().max().item()
    finally:
        model.backbone.train(was_training)
    inputs = {name: _input(name, x, dynamic[name]) for name, x in full.items()}
    return ExportedGraph(names, path.name, inputs, OUTPUT, difference, weights)


def _random(backbone: Backbone, names: Sequence[str], batch: int, share: float) -> dict[str, Tensor]:
    """Return random inputs; the padding of a sequence hides a row's end."""
    inputs = {}
    for name in names:
        adapter, generator = backbone.encoder.adapter(name), torch.Generator().manual_seed(batch)
        sequence, values = _is_sequence(name, adapter), adapter.random_values(batch, generator, share)
        assert values is not None
        inputs[name] = values
        if sequence:
            padding = _no_padding(adapter, values)
            padding[0, -1] = True
            inputs[f"{name}{PADDING}"] = padding
    return inputs


def _is_sequence(name: str, adapter: ModalityAdapter) -> bool:
    """Whether values have a length that may vary, and so a padding."""
    generator = torch.Generator().manual_seed(0)
    full, half = (adapter.random_values(1, generator, share) for share in (1.0, 0.5))
    if full is None or half is None:
        raise UserError(
            f"{name}: {type(adapter).__name__} has no random_values, with which a graph is traced; add it"
        )
    return full.shape != half.shape


def _no_padding(adapter: ModalityAdapter, values: Tensor) -> Tensor:
    """Return a padding (B, L) that hides nothing."""
    return torch.zeros(values.shape[0], adapter.stem(values).shape[1] + 1, dtype=torch.bool)


def _write_torch(program: ExportedProgram, path: Path) -> Callable[[dict[str, Tensor]], Tensor]:
    with replacing(path) as new:
        torch.export.save(program, str(new))
    run: Callable[[dict[str, Tensor]], Tensor] = torch.export.load(str(path)).module()
    return run


def _write_onnx(
    program: ExportedProgram, path: Path, names: list[str], weights: GraphWeights
) -> Callable[[dict[str, Tensor]], Tensor]:
    from onnxruntime import InferenceSession

    size = sum(tensor.numel() * tensor.element_size() for tensor in program.state_dict.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own conversion
        torch.onnx.export(
            program,
            f=str(path),
            dynamo=True,
            input_names=names,
            output_names=[OUTPUT],
            external_data=size > LIMIT,
            verbose=False,
        )
    if weights == "int8":
        _quantize_onnx(path, size > LIMIT)
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = [each.name for each in session.get_inputs()]

    def run(inputs: dict[str, Tensor]) -> Tensor:
        (vectors,) = session.run([OUTPUT], {name: inputs[name].numpy() for name in wanted})
        return torch.from_numpy(vectors)

    return run


def _quantize_onnx(path: Path, external_data: bool) -> None:
    """Quantize the matrix products of a graph with weights, in place."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.disable(logging.WARNING)  # it recommends a preprocessing that dynamic shapes do not need
    try:
        quantize_dynamic(
            str(path),
            str(path),
            op_types_to_quantize=["MatMul", "Gemm"],
            weight_type=QuantType.QInt8,
            use_external_data_format=external_data,
        )
    finally:
        logging.disable(logging.NOTSET)


def _input(name: str, example: Tensor, dynamic: Mapping[int, object]) -> GraphInput:
    modality, is_padding = name.removesuffix(PADDING), name.endswith(PADDING)
    length = f"{modality}_tokens" if is_padding else f"{modality}_length"
    shape = tuple(
        size if axis not in dynamic else "batch" if axis == 0 else length
        for axis, size in enumerate(example.shape)
    )
    meaning = (
        f"True where a token of {modality} is padding, the CLS token first; all False without padding"
        if is_padding
        else f"values of {modality} as its processor prepares them"
    )
    return GraphInput(str(example.dtype).removeprefix("torch."), shape, meaning)


def _options(processor: Processor, folder: Path) -> JsonObject:
    """Return a processor's options; a tokenizer becomes a file beside the graphs."""
    config = processor.to_config()
    if isinstance(processor, HasTokenizer) and processor.tokenizer is not None:
        write_text(folder / TOKENIZER, processor.tokenizer.to_json())
        config["init_args"] = {**config["init_args"], "tokenizer": TOKENIZER}
    return config


def _description(
    model: OnePeace, folder: Path, format: Format, graphs: Sequence[ExportedGraph]
) -> JsonObject:
    read = {name for graph in graphs for name in graph.modalities}
    return {
        "onepeace_pl": VERSION,
        "format": format,
        "dim": model.dim,
        "similarity_scale": model.backbone.similarity_scale().item(),
        "graphs": {joint_name(graph.modalities): asdict(graph) for graph in graphs},
        "preprocessing": {
            name: _options(processor, folder) for name, processor in model.processors.items() if name in read
        },
    }


def _readme(model: OnePeace, format: Format, graphs: Sequence[ExportedGraph]) -> str:
    rows = [
        f"| `{graph.file}` | `{name}` | {each.dtype} | ({', '.join(map(str, each.shape))}) | {each.meaning} |"
        for graph in graphs
        for name, each in graph.inputs.items()
    ]
    run = (
        "`onnxruntime.InferenceSession(FILE).run(None, inputs)`, inputs being arrays by name"
        if format == "onnx"
        else "`torch.export.load(FILE).module()(inputs)`, inputs being a dict of tensors by name"
    )
    return "\n".join(
        [
            "# Exported embedder",
            "",
            f"Each graph returns `{OUTPUT}`, (batch, {model.dim}) float32 unit vectors, not calibrated. Run one by",
            f"{run}.",
            "",
            "| file | input | dtype | shape | |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "Sizes given by a name may vary from call to call; the batch is at least 1 and the same for all inputs.",
            "Preprocessing is not part of the graphs: `preprocessing` of `export.json` has its options, and",
            "`onepeace_pl.modalities` the processors; `collate` makes values and padding.",
            "",
        ]
    )
