"""The backbone: encoder, decoder and logit scale.

Shapes: B batch, L tokens with the CLS token at index 0, D width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn

from onepeace_pl.backbone.config import DecoderConfig
from onepeace_pl.backbone.decoder import Decoder, DecoderAdapter
from onepeace_pl.backbone.encoder import Encoder, Features, ForwardPass, StopAfter
from onepeace_pl.backbone.fusion import Fuse, check_fuse, normalised_sum
from onepeace_pl.backbone.matryoshka import check_matryoshka_dims
from onepeace_pl.backbone.stages import (
    Extend,
    Last,
    LoRAStage,
    Stage,
    VisionLanguage,
    is_reached,
    owner_of,
)
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import ModalityAdapter, ModalityInput, Off
from onepeace_pl.modalities.base import modality_of
from onepeace_pl.nn import TransformerConfig
from onepeace_pl.nn.init import ResetsParameters
from onepeace_pl.nn.lora import LoRA, add_lora
from onepeace_pl.nn.sequence import SHARED
from onepeace_pl.nn.transformer import Block
from onepeace_pl.utils.json_files import JsonObject

MAX_LOGIT_SCALE = math.log(100.0)
START_LOGIT_SCALE = math.log(1 / 0.07)


class Backbone(nn.Module):
    """One model of any number of modalities (paper, section 3).

    Args:
        adapters: Adapters by modality; each is called with the encoder's config. ``Off`` removes one.
        transformer: The encoder's sizes and switches.
        decoder: The decoder's; only the denoising objective needs one.
        stage: Which parameters are trained: ``vision_language`` (everything), ``{extend: NAME}``, ``{last: BLOCKS}``,
            ``{lora: RANK}`` or ``frozen``.
        fuse: The default of :meth:`embed_fused`: ``sum`` or ``joint``.
        matryoshka_dims: Lengths that embeddings were trained to be cut to; a task that trains some adds them.
        joint: Combinations of modalities whose default is ``joint`` all the same; a task that trains their joint vector
            adds them.
    """

    def __init__(
        self,
        adapters: dict[str, Callable[[TransformerConfig], ModalityAdapter]],
        transformer: TransformerConfig,
        decoder: DecoderConfig = DecoderConfig(),  # noqa: B008 - frozen
        stage: str | Extend | Last | LoRAStage = "vision_language",
        fuse: Fuse = "sum",
        matryoshka_dims: Sequence[int] = (),
        joint: Sequence[Sequence[str]] = (),
    ) -> None:
        super().__init__()
        _check_names(adapters)
        check_fuse(fuse)
        self.fuse: Fuse = fuse
        self.joint: tuple[tuple[str, ...], ...] = ()
        self.config, self.decoder_config = transformer, decoder
        self.matryoshka_dims: tuple[int, ...] = ()
        self.add_matryoshka_dims(matryoshka_dims)
        self.stage: Stage = Stage.from_config(stage) if isinstance(stage, str) else stage
        made = {name: make(self.config) for name, make in adapters.items()}
        made = {name: adapter for name, adapter in made.items() if not isinstance(adapter, Off)}
        if not made:
            raise UserError("a backbone needs at least one adapter")
        self.stage.check(made, self.depth)
        self.encoder = Encoder(self.config, made)
        self.add_joint(joint)
        small = decoder.resolve(transformer)
        self.decoder = None if small is None else Decoder(self.config, small, made, decoder.hide_padding)
        self.logit_scale = nn.Parameter(torch.empty(1))  # one element: sharding knows no scalars
        self.reset_parameters()
        if isinstance(self.stage, LoRAStage):
            self.adapt(self.stage)
        else:
            self.apply_stage(self.modalities)

    @property
    def modalities(self) -> list[str]:
        """Names of the modalities, in order."""
        return list(self.encoder.adapters)

    @property
    def depth(self) -> int:
        """Number of the encoder's blocks."""
        return self.config.depth

    @property
    def blocks(self) -> list[Block]:
        """Blocks of the encoder, then those of the decoder."""
        stacks = [self.encoder.transformer] + ([] if self.decoder is None else [self.decoder.transformer])
        return [block for stack in stacks for block in stack.blocks if isinstance(block, Block)]

    def compile_blocks(self, backend: str = "inductor") -> None:
        """Let ``torch.compile`` make one graph of each block when it trains, at the first step of each kind of batch.

        Args:
            backend: Of ``torch.compile``.
        """
        # each rate of drop path has a graph of its own, and each order of passes
        dynamo = torch._dynamo.config
        dynamo.recompile_limit = max(dynamo.recompile_limit, 8 * len(self.blocks))
        dynamo.accumulated_recompile_limit = max(dynamo.accumulated_recompile_limit, 64 * len(self.blocks))
        for block in self.blocks:
            block.compiler = backend

    def add_matryoshka_dims(self, dims: Sequence[int]) -> None:
        """Record lengths that embeddings are trained to be cut to; the model's config keeps them, longest first.

        Raises:
            UserError: Embeddings have no such lengths, or the full one is not among them.
        """
        check_matryoshka_dims(dims, self.config.width)
        self.matryoshka_dims = tuple(sorted({*self.matryoshka_dims, *dims}, reverse=True))

    def add_joint(self, combinations: Iterable[Sequence[str]]) -> None:
        """Record combinations of modalities whose joint vector is trained; the model's config keeps them.

        Raises:
            UserError: One has fewer than two modalities, or one that the backbone lacks.
        """
        for names in combinations:
            if len(set(names)) < 2 or any(name not in self.modalities for name in names):
                raise UserError(
                    f"joint: {', '.join(names)} are no two or more of the modalities {', '.join(self.modalities)}"
                )
            if all(set(names) != set(known) for known in self.joint):
                self.joint = (*self.joint, tuple(sorted(names, key=self.modalities.index)))

    def reset_parameters(self) -> None:
        """Initialise the logit scale in place."""
        nn.init.constant_(self.logit_scale, START_LOGIT_SCALE)

    def initialise(self) -> None:
        """Initialise every parameter in place: a model built on the meta device and then given memory."""
        for module in reversed(list(self.modules())):  # a module has the last word on its submodules
            if isinstance(module, ResetsParameters):
                module.reset_parameters()

    def apply_stage(
        self,
        used: Iterable[str],
        reconstructed: Iterable[str] | None = None,
        stop_after: StopAfter = "projection",
    ) -> None:
        """Freeze the parameters that are not trained in this stage.

        Args:
            used: Modalities that the task reads.
            reconstructed: Modalities that its decoder reconstructs; None for all that are used.
            stop_after: End of its passes.
        """
        used, modalities = list(used), self.modalities
        reconstructed = used if reconstructed is None else list(reconstructed)
        for prefix, module in self.named_modules():
            unused = module.unused if isinstance(module, ModalityAdapter | DecoderAdapter) else ()
            for name, parameter in module.named_parameters(prefix=prefix, recurse=False):
                owner, behind = owner_of(name, modalities), self.depth + 1 - self.layer_of(name)
                parameter.requires_grad_(
                    name.rpartition(".")[2] not in unused
                    and is_reached(name, owner, used, reconstructed, stop_after)
                    and self.stage.trains(name, owner, behind)
                )

    def adapt(self, stage: LoRAStage) -> None:
        """Add low-rank adapters to the encoder's blocks; from now on they are what trains.

        Raises:
            UserError: A target names no layer, or there are adapters already.
        """
        stage.check(self.modalities, self.depth)
        if any(isinstance(module, LoRA) for module in self.modules()):
            raise UserError("the backbone has low-rank adapters already; merge them first")
        add_lora(self.encoder.transformer.blocks, stage.targets, stage.lora, stage.scale, stage.dropout)
        self.stage = stage
        self.apply_stage(self.modalities)

    def merge(self) -> None:
        """Fold low-rank adapters into the weights; then everything trains, as without a stage."""
        for module in self.modules():
            if isinstance(module, LoRA):
                module.merge()
        if isinstance(self.stage, LoRAStage):
            self.stage = VisionLanguage()
        self.apply_stage(self.modalities)

    def forward(
        self, inputs: Mapping[str, ModalityInput], passes: Sequence[ForwardPass]
    ) -> tuple[list[Features], Tensor]:
        """Run all passes of a step in one call.

        Args:
            inputs: The batch's fields by modality.
            passes: The passes; those with masks also go through the decoder.

        Returns:
            The features of each pass, and the factor of cosine similarities (scalar): exp of the clamped logit
            scale.
        """
        features = self.encoder(inputs, passes)
        students = [i for i, forward_pass in enumerate(passes) if forward_pass.masks is not None]
        if students and self.decoder is None:
            raise UserError("a masked pass needs a decoder; set decoder.depth to at least 1")
        if students and self.decoder is not None:
            reconstructed = self.decoder(
                [features[i] for i in students], [passes[i] for i in students], inputs
            )
            for i, result in zip(students, reconstructed, strict=True):
                features[i].reconstructed = result
        return features, self.similarity_scale()

    def similarity_scale(self) -> Tensor:
        """Return the learned factor of cosine similarities (scalar): exp of the clamped logit scale."""
        # the value within its bounds, the gradient as if there were none; not in place: a shard would not see it
        outside = (self.logit_scale - self.logit_scale.clamp(0.0, MAX_LOGIT_SCALE)).detach()
        return (self.logit_scale - outside).exp().squeeze(0)

    @torch.no_grad()
    def clamp_logit_scale(self) -> None:
        """Put the logit scale back within its bounds, as is done after every update; on a sharded model too."""
        self.logit_scale.clamp_(0.0, MAX_LOGIT_SCALE)

    def embed(self, inputs: Mapping[str, ModalityInput]) -> dict[str, Tensor]:
        """Return embeddings (B, D) of each field by itself: unit vectors."""
        features, _ = self(inputs, [ForwardPass.of([name]) for name in inputs])
        return {
            name: feature.embeddings[modality_of(name)]
            for name, feature in zip(inputs, features, strict=True)
        }

    def embed_jointly(self, inputs: Mapping[str, ModalityInput]) -> Tensor:
        """Return joint embeddings (B, D) of several modalities: the normalised mean of projected CLS tokens."""
        features, _ = self(inputs, [ForwardPass.of(tuple(inputs))])
        return normalised_sum(features[0].embeddings.values())

    def default_fuse(self, fields: Iterable[str]) -> Fuse:
        """Return how these fields become one vector by default."""
        modalities = set(map(modality_of, fields))
        return "joint" if any(modalities == set(names) for names in self.joint) else self.fuse

    def embed_fused(self, inputs: Mapping[str, ModalityInput], fuse: Fuse | None = None) -> Tensor:
        """Return one embedding (B, D) for each row of one or several modalities.

        Args:
            inputs: The batch's fields by modality.
            fuse: Sum of the separate vectors, or joint pass; None for the model's default. They differ from two
                modalities on.
        """
        fuse = self.default_fuse(inputs) if fuse is None else fuse
        check_fuse(fuse)
        if len(inputs) == 1:
            return self.embed(inputs)[next(iter(inputs))]
        return self.embed_jointly(inputs) if fuse == "joint" else normalised_sum(self.embed(inputs).values())

    def embed_tokens(self, inputs: Mapping[str, ModalityInput], fuse: Fuse | None = None) -> list[Tensor]:
        """Return unit vectors (L, D) of the tokens of each of the B rows, for late interaction (MaxSim).

        They are those of the final norm, projected as the CLS token is; each modality begins with its CLS token, and
        several follow each other. There is no padding.

        Args:
            inputs: The batch's fields by modality.
            fuse: Read several modalities separately (``sum``) or in one ``joint`` pass; None for the model's default.
        """
        fuse = self.default_fuse(inputs) if fuse is None else fuse
        check_fuse(fuse)
        together = [tuple(inputs)] if fuse == "joint" else [(name,) for name in inputs]
        features, _ = self(
            inputs, [replace(ForwardPass.of(fields), stop_after="norm") for fields in together]
        )
        parts: list[list[Tensor]] = []
        for each in features:
            for name, tokens in each.tokens.items():
                padding, vectors = each.padding[name], self.encoder.projection(name).tokens(tokens)
                parts.append(
                    list(vectors)
                    if padding is None
                    else [row[~gap] for row, gap in zip(vectors, padding, strict=True)]
                )
        return [torch.cat(row) for row in zip(*parts, strict=True)]

    def layer_of(self, name: str) -> int:
        """Return a parameter's layer: 0 for adapters, 1..depth for blocks, depth + 1 for what follows."""
        parts = name.split(".")
        if parts[:2] == ["encoder", "adapters"]:
            return (
                int(parts[5]) + 1 if parts[3:5] == ["bias", "tables"] else 0
            )  # a table serves its own layer
        if parts[:3] == ["encoder", "transformer", "blocks"]:
            return int(parts[3]) + 1
        return self.depth + 1

    def to_config(self) -> JsonObject:
        """Return constructor arguments as plain data, from which :meth:`from_config` makes the same model."""
        return {
            "adapters": {name: self.encoder.adapter(name).to_config() for name in self.modalities},
            "transformer": asdict(self.config),
            "decoder": asdict(self.decoder_config),
            "stage": self.stage.to_config(),
            "fuse": self.fuse,
            "matryoshka_dims": list(self.matryoshka_dims),
            "joint": [list(names) for names in self.joint],
        }

    @classmethod
    def from_config(cls, config: JsonObject, trust: bool = False) -> Self:
        """Make the backbone that :meth:`to_config` describes.

        Args:
            config: Constructor arguments as plain data.
            trust: Import the adapters' classes whatever their module (:mod:`onepeace_pl.utils.trust`).
        """
        adapters: dict[str, Callable[[TransformerConfig], ModalityAdapter]] = {
            name: partial(ModalityAdapter.from_config, adapter, owner=f"adapter {name!r}", trust=trust)
            for name, adapter in config["adapters"].items()
        }
        return cls(
            adapters,
            TransformerConfig.from_config(config["transformer"]),
            DecoderConfig(**config["decoder"]),
            Stage.from_config(config.get("stage", "vision_language")),  # type: ignore[arg-type]
            config.get("fuse", "sum"),
            config.get("matryoshka_dims", ()),
            config.get("joint", ()),
        )


def _check_names(names: Iterable[str]) -> None:
    """Reject names of modalities that cannot be names of submodules."""
    for name in names:
        if not name.isidentifier() or name == SHARED or hasattr(nn.ModuleDict, name):
            raise UserError(f"a modality cannot be called {name!r}; choose a word such as 'motion'")
