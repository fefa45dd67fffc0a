"""Official parameter names <-> ours, both ways (``docs/reference/checkpoints.md``).

One table of rules; those of an adapter are in the ``official.py`` of its modality.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from onepeace_pl.backbone.model import Backbone
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import OFFICIAL
from onepeace_pl.modalities.official import Rename

WRAPPERS = ("module.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")
VISION_BACKBONE = re.compile(r"^backbone\.(?=image_adapter\.|encoder\.layers\.)")
LAYER_TABLE = re.compile(r"^encoder\.layers\.(\d+)\.rel_pos_table\.weight$")
BUFFERS = re.compile(r"\.(rp_bucket|position_idx)$|^[a-z_]*\.fusion_model\.version$")


def _stack(official: str, ours: str) -> list[Rename]:
    """Rules of one transformer; ``{x}`` is weight or bias, ``{m}`` a modality, ``{i}`` a layer."""
    a, b = f"{official}.fusion_model.layers.{{i}}", f"{ours}.transformer.blocks.{{i}}"
    attention, project = f"{a}.self_attn", f"{b}.attention.project_out.shared"
    return [
        Rename(
            tuple(f"{attention}.{n}_proj.weight" for n in "qkv"), f"{b}.attention.project_in.shared.weight"
        ),
        Rename((f"{attention}.q_proj.bias",), f"{b}.attention.project_in.shared.query_bias"),
        Rename((f"{attention}.v_proj.bias",), f"{b}.attention.project_in.shared.value_bias"),
        Rename((f"{attention}.out_proj.{{x}}",), f"{project}.linear.{{x}}"),
        Rename((f"{attention}.ln.{{x}}",), f"{project}.sub_norm.{{x}}"),
        Rename((f"{attention}.c_attn",), f"{b}.attention.head_scale"),
        Rename((f"{a}.attn_ln.{{x}}",), f"{project}.out_norm.{{x}}"),
        Rename((f"{a}.self_attn_layer_norm.{{x}}",), f"{b}.attention_norm.shared.{{x}}"),
        Rename((f"{a}.final_layer_norm.{{x}}",), f"{b}.feed_forward_norm.{{x}}"),
        Rename((f"{a}.gamma_1",), f"{b}.attention_scale.gamma"),
        Rename((f"{a}.gamma_2",), f"{b}.feed_forward_scale.gamma"),
        Rename(
            tuple(f"{a}.{{m}}_ffn.0.wi_{n}.weight" for n in "01"), f"{b}.feed_forward.{{m}}.expand.weight"
        ),
        Rename((f"{a}.{{m}}_ffn.2.{{x}}",), f"{b}.feed_forward.{{m}}.norm.{{x}}"),
        Rename((f"{a}.{{m}}_ffn.3.{{x}}",), f"{b}.feed_forward.{{m}}.contract.{{x}}"),
        Rename((f"{official}.fusion_model.{{m}}_layer_norm.{{x}}",), f"{ours}.transformer.norms.{{m}}.{{x}}"),
        Rename((f"{official}.{{m}}_adapter.cls_embedding",), f"{ours}.adapters.{{m}}.cls_token", lead=2),
        Rename((f"{official}.{{m}}_adapter.mask_embedding",), f"{ours}.adapters.{{m}}.mask_embedding"),
        Rename(
            (f"{official}.{{m}}_adapter.embed_positions.weight",), f"{ours}.adapters.{{m}}.position_table"
        ),
    ]


def _adapters() -> list[Rename]:
    """Rules of the adapters: those that all share, and each official modality's own."""
    a, b = "{m}_adapter", "adapters.{m}"
    rules = [
        Rename((f"encoder_wrapper.{a}.rel_pos_table_list.{{j}}.weight",), f"encoder.{b}.bias.tables.{{j}}"),
        Rename((f"encoder_wrapper.{a}.layernorm_embedding.{{x}}",), f"encoder.{b}.norm.{{x}}"),
        Rename(
            (f"encoder_wrapper.{a}.type_embedding", f"encoder_wrapper.{a}.type_embedding_2"),
            f"encoder.{b}.type_embeddings",
            lead=1,
        ),
    ]
    for name, modality in OFFICIAL.items():
        for stack, own in (("encoder", modality.encoder), ("decoder", modality.decoder)):
            rules += [
                rule.within(f"{stack}_wrapper.{name}_adapter", f"{stack}.adapters.{name}") for rule in own
            ]
    return rules


RULES: list[Rename] = [
    Rename(("logit_scale",), "logit_scale", lead=-1),
    Rename(("{m}_proj.{x}",), "encoder.projections.{m}.{x}"),
    Rename(("{m}_mask_token",), "decoder.adapters.{m}.mask_token"),
    Rename(("decoder_{m}_embed.{x}",), "decoder.adapters.{m}.embed.{x}"),
    Rename(("{m}_mask_head.{x}",), "decoder.adapters.{m}.restore.{x}"),
    *_adapters(),
    *_stack("encoder_wrapper", "encoder"),
    *_stack("decoder_wrapper", "decoder"),
]


def from_official(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Rename official tensors to ours.

    Args:
        state: Official names, of a fairseq model or of the vision-only file.

    Returns:
        Our tensors, and those that no rule matches (task heads) under their official names. Position buffers, which
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
                raise UserError(
                    f"the checkpoint has {name!r} but not {missing!r}; it is damaged or of another model"
                )
        ours[rule.ours.format(**match.groupdict())] = rule.to_ours([left.pop(n) for n in names if n in left])
    return ours, left


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename our tensors; the inverse of :func:`from_official`.

    Raises:
        UserError: A name has no official one.
    """
    official: dict[str, Tensor] = {}
    for name, tensor in state.items():
        found = next(
            (
                (rule, match)
                for rule in RULES
                if (match := rule.patterns[1].match(name)) and (not rule.beside or rule.beside in state)
            ),
            None,
        )
        if found is None and name.endswith((".lora_A", ".lora_B")):
            raise UserError("low-rank adapters have no official names; fold them into the weights (--merge)")
        if found is None:
            raise UserError(
                f"{name!r} has no official name; only the adapters of {', '.join(OFFICIAL)} have official names"
            )
        rule, match = found
        names = [template.format(**match.groupdict()) for template in rule.official]
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
            raise UserError(f"the checkpoint has two different tensors for {short!r}; leave one out")
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
    """Select the vision branch of an official state, under the vision-only file's names."""
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
        if adapter.decoder_grid is not None:
            buffers[f"{prefix}.position_idx"] = torch.arange(adapter.decoder_positions)
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
