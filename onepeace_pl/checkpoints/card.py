"""Model card: the README of a model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onepeace_pl.backbone import Backbone, Fuse
from onepeace_pl.modalities import Processor
from onepeace_pl.modalities.text.tokenizer import HasTokenizer

FUSIONS: dict[Fuse, str] = {"sum": "normalised sum of their vectors", "joint": "one joint pass"}
PLAIN = bool | int | float | str


def model_card(
    backbone: Backbone,
    processors: Mapping[str, Processor],
    made_new: Sequence[str],
    extra: Sequence[str],
    base: str | None = None,
    weights: Mapping[str, object] | None = None,
) -> str:
    """Return the text of a model card.

    Args:
        backbone: The model; it may be on the meta device.
        processors: Its preprocessing.
        made_new: Newly initialised parameters, which the source did not have.
        extra: Names of tensors outside the backbone.
        base: Path of the base weights that the folder omits.
        weights: Origin of the weights in a run: ``checkpoint``, ``step``, ``monitor``, ``value``.
    """
    config, names = backbone.config, backbone.modalities
    count = sum(parameter.numel() for parameter in backbone.parameters())
    tables = "one per layer" if config.bias_per_layer else "shared by all layers"
    lengths = ", ".join(map(str, backbone.matryoshka_dims))
    depth = 0 if backbone.decoder is None else len(backbone.decoder.transformer.blocks)
    lines = [
        "# ONE-PEACE model",
        "",
        f"Embeds {_listed(names)} into one space of {config.width} dimensions "
        "([paper](https://arxiv.org/abs/2305.11172)).",
        "",
        "```python",
        "from onepeace_pl import OnePeace",
        "",
        'model = OnePeace.from_pretrained("path/to/this/folder")',
        f"vectors = model.encode({names[0]}=[...])  # (N, {config.width}) unit vectors",
        "```",
        "",
        "| | |",
        "| --- | --- |",
        f"| parameters | {count:,} |",
        f"| encoder | {config.depth} layers, width {config.width}, {config.heads} heads, "
        f"feed-forward {config.feed_forward} |",
        f"| relative positions | {tables if config.position_bias else 'none'} |",
        *([f"| several modalities | {FUSIONS[backbone.fuse]} |"] if len(names) > 1 else []),
        *(f"| {' + '.join(joined)} | {FUSIONS['joint']} |" for joined in backbone.joint),
        *([f"| trained lengths (`truncate_dim`) | {lengths} |"] if lengths else []),
        f"| decoder | {f'layers: {depth}' if depth else 'none'} |",
        *(f"| {n} | {f'{v:.4g}' if isinstance(v, float) else v} |" for n, v in (weights or {}).items()),
        "",
        "Preprocessing:",
        "",
    ]
    for name, processor in processors.items():
        options = processor.to_config()["init_args"]
        settings = (f"{k} {value}" for k, value in options.items() if isinstance(value, PLAIN))
        lines.append(f"- {name}: {', '.join(settings)}")
    for name, processor in processors.items():
        if isinstance(processor, HasTokenizer) and processor.tokenizer is None:
            lines += [
                "",
                f"No tokenizer for {name}: pass one to `from_pretrained(..., tokenizer=...)`.",
            ]
    fresh = [name for name in names if f"encoder.projections.{name}.weight" in made_new]
    if fresh:
        lines += [
            "",
            f"The source checkpoint has no projection for {_listed(fresh)}: it is randomly initialised, and "
            "embeddings are not comparable with those of other modalities until it is trained.",
        ]
    if base is not None:
        lines += [
            "",
            f"This folder has the trained weights only; the others are loaded from `{base}`. "
            "`python -m onepeace_pl convert FOLDER --to NEW_FOLDER` writes a self-contained folder.",
        ]
    if extra:
        lines += [
            "",
            f"`extra.safetensors` has {len(extra)} tensors outside this model.",
        ]
    return "\n".join(lines) + "\n"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
