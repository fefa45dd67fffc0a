"""Config of a model deduced from its tensors, so that an official file needs no preset.

Options that no tensor shows are the released ones: strides of the audio front end, ids of special tokens, the width
of a decoder's head (that of the encoder's).

Shapes: D width, H heads, F inner width of a feed-forward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from onepeace_pl.backbone import DecoderConfig
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import OFFICIAL
from onepeace_pl.modalities.official import Options, State, matching, require
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.presets import PRESETS
from onepeace_pl.utils.json_files import JsonObject

HEAD = 64  # width of a released model's head


def deduce(state: State, config: JsonObject | None = None, decoder: bool = True) -> JsonObject:
    """Return the config (:meth:`Backbone.to_config`) of the model that tensors belong to.

    Args:
        state: Tensors under our names.
        config: The official file's ``cfg.model``, for options that no tensor shows.
        decoder: Include a decoder in ``state``.

    Raises:
        UserError: The tensors are of no such model, or contradict one another.
    """
    official = dict(config or {})
    modalities = [name for name in OFFICIAL if f"encoder.adapters.{name}.cls_token" in state]
    if not modalities:
        *others, last = OFFICIAL
        raise UserError(
            f"no {', '.join(others)} or {last} adapter is among the tensors; is it an ONE-PEACE checkpoint?"
        )
    transformer = _encoder(state, modalities)
    adapters = {}
    for name in modalities:
        mine = _below(state, f"encoder.adapters.{name}.")
        in_decoder = _below(state, f"decoder.adapters.{name}.") if decoder else {}
        shrink = _option(official, 1.0, "encoder", f"{name}_adapter", "shrink_alpha")
        options = {"embedding_norm": "norm.weight" in mine, "shrink": shrink}
        options |= OFFICIAL[name].deduce(mine, in_decoder, transformer["width"])
        kind = OFFICIAL[name].adapter
        adapters[name] = {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": options}
    small: Options = {"depth": 0, "hide_padding": False}
    if decoder and _depth(state, "decoder"):
        small |= _decoder(state, modalities, transformer, official)
    return {
        "adapters": adapters,
        "transformer": asdict(TransformerConfig(_preset_of(transformer), **transformer)),
        "decoder": asdict(DecoderConfig(**small)),
        "stage": "vision_language",
    }


def check_preset(config: JsonObject, preset: str) -> None:
    """Raise a UserError where a deduced config has other sizes than a preset."""
    found, wanted = TransformerConfig(**config["transformer"]), TransformerConfig(preset)
    for name in ("width", "depth", "heads", "feed_forward"):
        if getattr(found, name) != getattr(wanted, name):
            raise UserError(
                f"the file has {name} {getattr(found, name)}, preset {preset!r} {getattr(wanted, name)};"
                " leave --preset out, the sizes are found in the tensors"
            )


def _encoder(state: State, modalities: list[str]) -> Options:
    block = "encoder.transformer.blocks.0"
    width = len(state[f"encoder.adapters.{modalities[0]}.cls_token"])
    tables = {m: len(matching(state, f"encoder.adapters.{m}.bias.tables.")) for m in modalities}
    depth = _depth(state, "encoder")
    if not depth:
        raise UserError("no block of an encoder is among the tensors; is the checkpoint whole?")
    if len(set(tables.values())) > 1 or max(tables.values()) not in (0, 1, depth):
        counts = ", ".join(f"{m} {n}" for m, n in tables.items())
        raise UserError(f"relative position tables: {counts}, but {depth} layers; is the checkpoint whole?")
    count = max(tables.values())
    heads = width // HEAD or 1
    if count:
        heads = state[f"encoder.adapters.{modalities[0]}.bias.tables.0"].shape[1]
    elif f"{block}.attention.head_scale" in state:
        heads = len(state[f"{block}.attention.head_scale"])
    return {
        "width": width,
        "depth": depth,
        "heads": heads,
        "position_bias": count > 0,
        "bias_per_layer": count == depth and depth > 1,
        **_block(state, block, modalities),
    }


def _block(state: State, block: str, modalities: list[str]) -> Options:
    """Return the options that the blocks of a stack share."""
    feed = f"{block}.feed_forward.{modalities[0]}"
    out = f"{block}.attention.project_out.shared"
    return {
        "feed_forward": require(state, f"{feed}.contract.weight").shape[1],
        "layer_scale": None if f"{block}.attention_scale.gamma" in state else 0.0,
        "sub_norm": f"{out}.sub_norm.weight" in state,
        "out_norm": f"{out}.out_norm.weight" in state,
        "feed_forward_norm": f"{feed}.norm.weight" in state,
        "scale_heads": f"{block}.attention.head_scale" in state,
    }


def _decoder(state: State, modalities: list[str], encoder: Options, official: Mapping[str, Any]) -> Options:
    inside = [m for m in modalities if f"decoder.adapters.{m}.embed.weight" in state]
    if not inside:
        raise UserError(
            "a decoder without a way into it (decoder_..._embed) is no decoder; is the file whole?"
        )
    width = len(state[f"decoder.adapters.{inside[0]}.embed.bias"])
    found = _block(state, "decoder.transformer.blocks.0", inside)
    for name in ("sub_norm", "feed_forward_norm"):
        if found[name] != encoder[name]:
            raise UserError(f"{name} is on in only one of encoder and decoder; such a model cannot be built")
    for name in ("out_norm", "scale_heads"):
        if found[name]:
            raise UserError(f"the decoder has {name}; such a decoder cannot be built")
    head = encoder["width"] // encoder["heads"]
    heads = _option(official, max(width // head, 1), "decoder", "attention_heads")
    return {
        "depth": _depth(state, "decoder"),
        "width": width,
        "heads": heads,
        "feed_forward": found["feed_forward"],
    }


def _preset_of(transformer: Options) -> str:
    """Return the preset of these sizes, else the released model's, for what tensors do not show."""
    sizes = ("width", "depth", "heads", "feed_forward")
    same = (
        name for name, preset in PRESETS.items() if all(getattr(preset, k) == transformer[k] for k in sizes)
    )
    return next(same, "4b")


def _depth(state: State, stack: str) -> int:
    found = {int(n) for n in matching(state, f"{stack}.transformer.blocks.", r"(\d+)\.")}
    missing = set(range(len(found))) - found
    if missing:
        raise UserError(f"layer {min(missing)} of the {stack} is missing; the checkpoint is damaged")
    return len(found)


def _below(state: State, prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _option(config: Mapping[str, Any], default: Any, *path: str) -> Any:
    value: Any = config
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return default if value is None else value
