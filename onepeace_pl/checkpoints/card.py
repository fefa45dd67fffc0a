"""Model card: the README of a model folder, with a YAML head for the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from onepeace_pl.backbone import Backbone, Fuse
from onepeace_pl.checkpoints.run_record import PICTURE, RunRecord, Score
from onepeace_pl.modalities import Processor
from onepeace_pl.modalities.text.tokenizer import HasTokenizer

FUSIONS: dict[Fuse, str] = {"sum": "normalised sum of their vectors", "joint": "one joint pass"}
PLAIN = bool | int | float | str
LIBRARY = "onepeace-pl"


def model_card(
    backbone: Backbone,
    processors: Mapping[str, Processor],
    made_new: Sequence[str] = (),
    extra: Sequence[str] = (),
    base: str | None = None,
    weights: Mapping[str, object] | None = None,
    run: RunRecord | None = None,
    head: bool = False,
) -> str:
    """Return the text of a model card.

    Args:
        backbone: The model; it may be on the meta device.
        processors: Its preprocessing.
        made_new: Newly initialised parameters, which the source did not have.
        extra: Names of tensors outside the backbone.
        base: Path of the base weights that the folder omits.
        weights: Origin of the weights in a run: ``checkpoint``, ``step``, ``monitor``, ``value``.
        run: Record of the run.
        head: The folder has a task's head.
    """
    parts = [
        _metadata(backbone, run),
        "# ONE-PEACE model\n",
        f"Embeds {_listed(backbone.modalities)} into one space of {backbone.config.width} dimensions "
        "([paper](https://arxiv.org/abs/2305.11172)).\n",
        *_usage(backbone, processors, head),
        "## Model\n",
        *_architecture(backbone, weights or {}),
        "## Preprocessing\n",
        *_preprocessing(processors),
        *_remarks(backbone, made_new, extra, base),
        *([] if run is None else _run(run)),
    ]
    return "\n".join(parts)


def _metadata(backbone: Backbone, run: RunRecord | None) -> str:
    """Return the YAML head, between its lines of dashes."""
    from huggingface_hub import EvalResult, ModelCardData

    known = {} if run is None else run.metadata
    results = [
        EvalResult(
            task_type="retrieval" if "R@" in score.metric else "classification",
            dataset_type=known.get("datasets", score.dataset),
            dataset_name=score.dataset,
            dataset_config=score.dataset,  # tells sets of one type apart
            dataset_split="validation",
            metric_type="recall" if "R@" in score.metric else score.metric,
            metric_name=score.metric,
            metric_value=round(score.value, 4),
        )
        for score in (() if run is None else run.scores)
    ]
    data = ModelCardData(
        library_name=LIBRARY,
        pipeline_tag="feature-extraction",
        license=known.get("license"),
        language=known.get("language"),
        datasets=[known["datasets"]] if "datasets" in known else None,
        tags=["one-peace", "multimodal", "sentence-transformers", *backbone.modalities],
        model_name="ONE-PEACE" if results else None,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml()}\n---\n"


def _usage(backbone: Backbone, processors: Mapping[str, Processor], head: bool) -> Iterator[str]:
    first = next((name for name in processors if name in backbone.modalities), backbone.modalities[0])
    yield "## Use\n"
    yield from (
        "```python",
        "from onepeace_pl import OnePeace",
        "",
        'model = OnePeace.from_pretrained("path/to/this/folder")  # or its name on the Hub',
        f"vectors = model.encode({first}=[...])  # (N, {backbone.config.width}) unit vectors",
        "```\n",
    )
    if head:
        yield from (
            "Predictions of its task:\n",
            "```python",
            "from onepeace_pl import Predictor",
            "",
            'predictor = Predictor.from_pretrained("path/to/this/folder")',
            "results = predictor([...])",
            "```\n",
        )
    yield from (
        "With sentence-transformers (`pip install 'onepeace-pl[sentence-transformers]'`):\n",
        "```python",
        "from sentence_transformers import SentenceTransformer",
        "",
        'model = SentenceTransformer("path/to/this/folder", trust_remote_code=True)',
        "```\n",
    )


def _architecture(backbone: Backbone, weights: Mapping[str, object]) -> Iterator[str]:
    config, names = backbone.config, backbone.modalities
    tables = "one per layer" if config.bias_per_layer else "shared by all layers"
    depth = 0 if backbone.decoder is None else len(backbone.decoder.transformer.blocks)
    yield "| | |"
    yield "| --- | --- |"
    yield f"| parameters | {sum(parameter.numel() for parameter in backbone.parameters()):,} |"
    yield (
        f"| encoder | {config.depth} layers, width {config.width}, {config.heads} heads, "
        f"feed-forward {config.feed_forward} |"
    )
    yield f"| relative positions | {tables if config.position_bias else 'none'} |"
    if len(names) > 1:
        yield f"| several modalities | {FUSIONS[backbone.fuse]} |"
    for joined in backbone.joint:
        yield f"| {' + '.join(joined)} | {FUSIONS['joint']} |"
    if backbone.matryoshka_dims:
        yield f"| trained lengths (`truncate_dim`) | {', '.join(map(str, backbone.matryoshka_dims))} |"
    yield f"| decoder | {f'layers: {depth}' if depth else 'none'} |"
    for name, value in weights.items():
        yield f"| {name} | {f'{value:.4g}' if isinstance(value, float) else value} |"
    yield ""


def _preprocessing(processors: Mapping[str, Processor]) -> Iterator[str]:
    for name, processor in processors.items():
        options = processor.to_config()["init_args"]
        settings = (f"{k} {value}" for k, value in options.items() if isinstance(value, PLAIN))
        yield f"- {name}: {', '.join(settings)}"
    yield ""
    for name, processor in processors.items():
        if isinstance(processor, HasTokenizer) and processor.tokenizer is None:
            yield f"No tokenizer for {name}: pass one to `from_pretrained(..., tokenizer=...)`.\n"


def _remarks(
    backbone: Backbone, made_new: Sequence[str], extra: Sequence[str], base: str | None
) -> Iterator[str]:
    fresh = [name for name in backbone.modalities if f"encoder.projections.{name}.weight" in made_new]
    if fresh:
        yield (
            f"The source checkpoint has no projection for {_listed(fresh)}: it is randomly initialised, and "
            "embeddings are not comparable with those of other modalities until it is trained.\n"
        )
    if base is not None:
        yield (
            f"This folder has the trained weights only; the others are loaded from `{base}`. "
            "`python -m onepeace_pl convert FOLDER --to NEW_FOLDER` writes a self-contained folder.\n"
        )
    if extra:
        yield f"`extra.safetensors` has {len(extra)} tensors outside this model.\n"


def _run(run: RunRecord) -> Iterator[str]:
    yield "## Training\n"
    yield "| | |"
    yield "| --- | --- |"
    yield from (f"| {name} | {value} |" for name, value in run.training.items())
    yield ""
    if run.scores:
        yield "## Results\n"
        yield f"{run.evaluated}; in brackets 95 % bootstrap intervals over queries.\n"
        yield "| set | metric | result | chance | optimum |"
        yield "| --- | --- | ---: | ---: | ---: |"
        yield from map(_row, run.scores)
        yield ""
    if run.picture is not None:
        yield f"![Queries with their nearest neighbours]({PICTURE})\n"
        yield "*Queries with their nearest neighbours; correct ones are framed in green.*\n"


def _row(score: Score) -> str:
    interval = "" if score.low is None or score.high is None else f" [{score.low:.3f}, {score.high:.3f}]"
    chance, optimum = ("" if each is None else f"{each:.3f}" for each in (score.chance, score.optimum))
    metric = score.metric.replace("->", " to ").replace("/", " ")
    return f"| {score.dataset} | {metric} | {score.value:.3f}{interval} | {chance} | {optimum} |"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
