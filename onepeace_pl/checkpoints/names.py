"""Official parameter names <-> ours, both ways (spec: checkpoint, sections 2 to 4).

One table of rules; a rule maps one or several official tensors (stacked along the first axis) to one of ours.
Fields in braces stand for one part of a dotted name.

Shapes: D encoder width, E decoder width.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from onepeace_pl.backbone.model import Backbone
from onepeace_pl.modalities import ImageAdapter

WRAPPERS = ("module.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")
VISION_BACKBONE = re.compile(r"^backbone\.(?=image_adapter\.|encoder\.layers\.)")
LAYER_TABLE = re.compile(r"^encoder\.layers\.(\d+)\.rel_pos_table\.weight$")
BUFFERS = re.compile(r"\.(rp_bucket|position_idx)$|^[a-z_]*\.fusion_model\.version$")


@dataclass(frozen=True)
class Rule:
    """Official names (stacked along axis 0) <-> one of our names.

    ``lead`` unit axes come first in the official shape; -1 stands for an official scalar.
    """

    official: tuple[str, ...]
    ours: str
    lead: int = 0

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        """Match the first official name, and our name."""
        return _pattern(self.official[0]), _pattern(self.ours)

    def to_ours(self, tensors: list[Tensor]) -> Tensor:
        """Drop leading unit axes and stack."""
        flat = [t.reshape(t.shape[self.lead :]) if self.lead >= 0 else t.reshape(1) for t in tensors]
        return flat[0] if len(flat) == 1 else torch.cat(flat)

    def to_official(self, tensor: Tensor, parts: int) -> list[Tensor]:
        """Split and put the unit axes back."""
        shape = (1,) * self.lead
        return [t.reshape(shape + t.shape) if self.lead >= 0 else t.reshape(()) for t in tensor.chunk(parts)]


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^.]+?)", re.escape(template)) + r"$")


def _stack(official: str, ours: str) -> list[Rule]:
    """Rules of one transformer; ``{x}`` is weight or bias, ``{m}`` a modality, ``{i}`` a layer."""
    a, b = f"{official}.fusion_model.layers.{{i}}", f"{ours}.transformer.blocks.{{i}}"
    attention, project = f"{a}.self_attn", f"{b}.attention.project_out.shared"
    return [
        Rule(tuple(f"{attention}.{n}_proj.weight" for n in "qkv"), f"{b}.attention.project_in.shared.weight"),
        Rule((f"{attention}.q_proj.bias",), f"{b}.attention.project_in.shared.query_bias"),
        Rule((f"{attention}.v_proj.bias",), f"{b}.attention.project_in.shared.value_bias"),
        Rule((f"{attention}.out_proj.{{x}}",), f"{project}.linear.{{x}}"),
        Rule((f"{attention}.ln.{{x}}",), f"{project}.sub_norm.{{x}}"),
        Rule((f"{attention}.c_attn",), f"{b}.attention.head_scale"),
        Rule((f"{a}.attn_ln.{{x}}",), f"{project}.out_norm.{{x}}"),
        Rule((f"{a}.self_attn_layer_norm.{{x}}",), f"{b}.attention_norm.shared.{{x}}"),
        Rule((f"{a}.final_layer_norm.{{x}}",), f"{b}.feed_forward_norm.{{x}}"),
        Rule((f"{a}.gamma_1",), f"{b}.attention_scale.gamma"),
        Rule((f"{a}.gamma_2",), f"{b}.feed_forward_scale.gamma"),
        Rule(tuple(f"{a}.{{m}}_ffn.0.wi_{n}.weight" for n in "01"), f"{b}.feed_forward.{{m}}.expand.weight"),
        Rule((f"{a}.{{m}}_ffn.2.{{x}}",), f"{b}.feed_forward.{{m}}.norm.{{x}}"),
        Rule((f"{a}.{{m}}_ffn.3.{{x}}",), f"{b}.feed_forward.{{m}}.contract.{{x}}"),
        Rule((f"{official}.fusion_model.{{m}}_layer_norm.{{x}}",), f"{ours}.transformer.norms.{{m}}.{{x}}"),
        Rule((f"{official}.{{m}}_adapter.cls_embedding",), f"{ours}.adapters.{{m}}.summary", lead=2),
        Rule((f"{official}.{{m}}_adapter.mask_embedding",), f"{ours}.adapters.{{m}}.mask_embedding"),
        Rule((f"{official}.image_adapter.pos_embed",), f"{ours}.adapters.image.position_table"),
        Rule((f"{official}.{{m}}_adapter.embed_positions.weight",), f"{ours}.adapters.{{m}}.position_table"),
    ]


def _adapters() -> list[Rule]:
    a, b = "encoder_wrapper.{m}_adapter", "encoder.adapters.{m}"
    rules = [
        Rule((f"{a}.rel_pos_table_list.{{j}}.weight",), f"{b}.bias.tables.{{j}}"),
        Rule((f"{a}.layernorm_embedding.{{x}}",), f"{b}.norm.{{x}}"),
        Rule((f"{a}.type_embedding", f"{a}.type_embedding_2"), f"{b}.type_embeddings", lead=1),
    ]
    text, image, audio = (b.format(m=m) for m in ("text", "image", "audio"))
    old_text, old_image, old_audio = (a.format(m=m) for m in ("text", "image", "audio"))
    rules.append(Rule((f"{old_text}.embed_tokens.weight",), f"{text}.token_table"))
    rules.append(Rule((f"{old_image}.embed_images.weight",), f"{image}.patches.weight"))
    rules += [Rule((f"{old_image}.embed_images.{n}.{{x}}",), f"{image}.patches.{n}.{{x}}") for n in (0, 3, 6)]
    rules += [
        Rule((f"{old_image}.embed_images.{n}.layer_norm.{{x}}",), f"{image}.patches.{n}.{{x}}")
        for n in (1, 4)
    ]
    rules += [
        Rule((f"{old_audio}.cls_pos_embed",), f"{audio}.summary_position", lead=1),
        Rule(
            (f"{old_audio}.embed_audios.0.conv_layers.{{c}}.0.weight",), f"{audio}.extractor.{{c}}.0.weight"
        ),
        Rule(
            (f"{old_audio}.embed_audios.0.conv_layers.{{c}}.2.1.{{x}}",), f"{audio}.extractor.{{c}}.1.{{x}}"
        ),
        Rule((f"{old_audio}.embed_audios.2.{{x}}",), f"{audio}.extractor_norm.{{x}}"),
        Rule((f"{old_audio}.embed_audios.3.{{x}}",), f"{audio}.project.{{x}}"),
    ]
    # the original counts a transposition as the first layer
    rules += [
        Rule(
            (f"{old_audio}.embed_positions.{n + 1}.0.{{x}}",),
            f"{audio}.position_convolutions.convolutions.{n}.{{x}}",
        )
        for n in range(16)
    ]
    # behind a LayerNorm (``conv_pos_pre_ln``) the original nests that sequence once more
    rules.append(
        Rule((f"{old_audio}.embed_positions.0.{{x}}",), f"{audio}.position_convolutions.pre_norm.{{x}}")
    )
    rules += [
        Rule(
            (f"{old_audio}.embed_positions.1.{n + 1}.0.{{x}}",),
            f"{audio}.position_convolutions.convolutions.{n}.{{x}}",
        )
        for n in range(16)
    ]
    return rules


RULES: list[Rule] = [
    Rule(("logit_scale",), "logit_scale", lead=-1),
    Rule(("{m}_proj.{x}",), "encoder.projections.{m}.{x}"),
    Rule(("{m}_mask_token",), "decoder.adapters.{m}.mask_token"),
    Rule(("decoder_{m}_embed.{x}",), "decoder.adapters.{m}.embed.{x}"),
    Rule(("{m}_mask_head.{x}",), "decoder.adapters.{m}.restore.{x}"),
    *_adapters(),
    *_stack("encoder_wrapper", "encoder"),
    *_stack("decoder_wrapper", "decoder"),
]


def from_official(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Rename official tensors.

    Args:
        state: Official names, of a fairseq model or of the vision-only file.

    Returns:
        Our tensors, and what no rule knows (task heads), under its official name. Position buffers, which
        can be computed, are in neither.
    """
    state = canonical(state)
    ours: dict[str, Tensor] = {}
    left = {name: tensor for name, tensor in state.items() if not BUFFERS.search(name)}
    for name in list(left):
        found = next(((rule, match) for rule in RULES if (match := rule.patterns[0].match(name))), None)
        if found is None:
            continue
        rule, match = found
        names = [template.format(**match.groupdict()) for template in rule.official]
        if rule.lead != 1 or len(names) == 1:  # of the type embeddings one may stand alone
            for missing in (n for n in names if n not in left):
                raise ValueError(
                    f"the checkpoint has {name!r} but not {missing!r}; it is damaged or of another model"
                )
        ours[rule.ours.format(**match.groupdict())] = rule.to_ours([left.pop(n) for n in names if n in left])
    return ours, left


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename our tensors; the inverse of :func:`from_official`.

    Raises:
        ValueError: A name has no official one.
    """
    official: dict[str, Tensor] = {}
    for name, tensor in state.items():
        found = next(((rule, match) for rule in RULES if (match := rule.patterns[1].match(name))), None)
        if found is None and name.endswith((".lora_A", ".lora_B")):
            raise ValueError("low-rank adapters have no official names; fold them into the weights (--merge)")
        if found is None:
            raise ValueError(
                f"{name!r} has no official name: only text, image and audio adapters of the paper have"
            )
        rule, match = found
        names = [template.format(**match.groupdict()) for template in rule.official]
        if (
            ".position_convolutions.convolutions." in name
            and f"{name.split('.convolutions.')[0]}.pre_norm.weight" in state
        ):
            names = [n.replace(".embed_positions.", ".embed_positions.1.") for n in names]
        if rule.ours.endswith("type_embeddings"):
            names = names[: len(tensor)]
        official.update(zip(names, rule.to_official(tensor, len(names)), strict=True))
    return official


def canonical(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give every tensor the usual form of its name; two different tensors of one name are an error."""
    usual: dict[str, Tensor] = {}
    for name, tensor in state.items():
        short = canonical_name(name)
        if short in usual and not torch.equal(usual[short], tensor):
            raise ValueError(f"the checkpoint has two different tensors for {short!r}; leave one out")
        usual[short] = tensor
    return usual


def unwrapped(name: str) -> str:
    """Strip wrappers' prefixes."""
    for wrapper in WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def canonical_name(name: str) -> str:
    """Strip wrappers' prefixes and give names of the vision-only file and of older files their usual form."""
    name = VISION_BACKBONE.sub("", unwrapped(name))
    if table := LAYER_TABLE.match(name):  # of the segmentation model, where each layer keeps its own
        return f"encoder_wrapper.image_adapter.rel_pos_table_list.{table[1]}.weight"
    if name.startswith("image_adapter."):
        name = f"encoder_wrapper.{name}"
    elif name.startswith("encoder.layers."):
        name = name.replace("encoder.layers.", "encoder_wrapper.fusion_model.layers.", 1)
    name = name.replace(".layer_norms.0.", ".self_attn_layer_norm.").replace(
        ".layer_norms.1.", ".final_layer_norm."
    )
    return name.replace(".rel_pos_table.weight", ".rel_pos_table_list.0.weight")


def vision_only(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the vision branch out of an official state, under the vision-only file's names.

    Source: spec, checkpoint, section 4.
    """
    dropped = re.compile(
        r"text|audio|decoder|mask|logit_scale|version|^image_proj\.|fusion_model\.image_layer_norm\."
    )
    return vision_names({name: tensor for name, tensor in official.items() if not dropped.search(name)})


def vision_names(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the encoder's tensors the vision-only file's names."""
    return {
        name.replace("encoder_wrapper.fusion_model.", "encoder.").removeprefix("encoder_wrapper."): tensor
        for name, tensor in official.items()
    }


def official_buffers(backbone: Backbone) -> dict[str, Tensor]:
    """Compute the position buffers that an official checkpoint of this backbone holds."""
    buffers: dict[str, Tensor] = {}
    for name in backbone.modalities:
        adapter = backbone.encoder.adapter(name)
        prefix = f"encoder_wrapper.{name}_adapter"
        if adapter.bias is not None:
            buckets = adapter.bias.buckets
            buffers[f"{prefix}.rp_bucket"] = buckets.index(buckets.original_length)
        if isinstance(adapter, ImageAdapter):
            buffers[f"{prefix}.position_idx"] = torch.arange(len(adapter.position_table))
    buffers["encoder_wrapper.fusion_model.version"] = torch.tensor([3.0])
    if backbone.decoder is not None:
        for name in backbone.modalities:
            adapted = backbone.decoder.adapter(name)
            if adapted.grid is not None:
                buffers[f"decoder_wrapper.{name}_adapter.position_idx"] = torch.arange(
                    len(adapted.position_table)
                )
        buffers["decoder_wrapper.fusion_model.version"] = torch.tensor([3.0])
    return buffers
