"""Audio in official checkpoints, and its adapter's presets."""

from __future__ import annotations

from typing import ClassVar

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.audio.adapter import AudioAdapter
from onepeace_pl.modalities.audio.processor import FRONT_END
from onepeace_pl.modalities.official import (
    OfficialModality,
    Options,
    Rename,
    State,
    matching,
    require,
    sequence_buckets,
)

_SMALL = {"channels": 32, "buckets": 64}
_DEEPEST = 16  # positional convolutions that have names
_CONVOLUTION = "position_convolutions.convolutions"
_PRE_NORM = "position_convolutions.pre_norm"


class OfficialAudio(OfficialModality):
    """See :class:`onepeace_pl.modalities.official.OfficialModality`."""

    name = "audio"
    adapter = AudioAdapter
    presets: ClassVar = {"debug": _SMALL, "tiny": _SMALL, "small": _SMALL}
    encoder = (
        Rename(("cls_pos_embed",), "cls_position", lead=1),
        Rename(("embed_audios.0.conv_layers.{c}.0.weight",), "extractor.{c}.0.weight"),
        Rename(("embed_audios.0.conv_layers.{c}.2.1.{x}",), "extractor.{c}.1.{x}"),
        Rename(("embed_audios.2.{x}",), "extractor_norm.{x}"),
        Rename(("embed_audios.3.{x}",), "project.{x}"),
        Rename(("embed_positions.0.{x}",), f"{_PRE_NORM}.{{x}}"),
        # after a LayerNorm (conv_pos_pre_ln) the original nests the convolutions once more
        *(
            Rename(
                (f"embed_positions.1.{n + 1}.0.{{x}}",),
                f"{_CONVOLUTION}.{n}.{{x}}",
                beside=f"{_PRE_NORM}.weight",
            )
            for n in range(_DEEPEST)
        ),
        # the original counts a transposition as the first layer
        *(
            Rename((f"embed_positions.{n + 1}.0.{{x}}",), f"{_CONVOLUTION}.{n}.{{x}}")
            for n in range(_DEEPEST)
        ),
    )

    def deduce(self, state: State, decoder: State, width: int) -> Options:
        """Return channels, positional convolutions, buckets and the decoder's positions."""
        kernels: list[int] = []
        while f"extractor.{len(kernels)}.0.weight" in state:
            kernels.append(state[f"extractor.{len(kernels)}.0.weight"].shape[-1])
        released = [kernel for kernel, _ in FRONT_END]
        if kernels != released:
            raise UserError(f"the audio front end has kernels {kernels}, not the released {released}")
        first = require(state, f"{_CONVOLUTION}.0.weight")
        depth = len(matching(state, f"{_CONVOLUTION}.", r"\d+\.weight"))
        options: Options = {
            "channels": len(state["extractor.0.0.weight"]),
            "position_depth": depth,
            "position_reach": first.shape[-1] * depth,
            "position_groups": width // first.shape[1],
            "position_pre_norm": f"{_PRE_NORM}.weight" in state,
        }
        if "position_table" in decoder:
            options["decoder_tokens"] = len(decoder["position_table"])
        return options | sequence_buckets(state)
