"""Official checkpoints, read and written (``docs/reference/checkpoints.md``).

Sizes are deduced from the tensors. Tensors that belong to no backbone (task heads) are kept under their own
names, so that official -> ours -> official gives the same tensors, bit for bit.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone
from onepeace_pl.checkpoints.account import Account
from onepeace_pl.checkpoints.deduce import check_preset, deduce
from onepeace_pl.checkpoints.folder import Origin
from onepeace_pl.checkpoints.head import Head
from onepeace_pl.checkpoints.heads import head_from_official, head_to_official
from onepeace_pl.checkpoints.loading import fit_state, read_safetensors, state_dict_of
from onepeace_pl.checkpoints.names import (
    BUFFERS,
    canonical,
    from_official,
    official_buffers,
    to_official,
    unwrapped,
    vision_names,
    vision_only,
)
from onepeace_pl.checkpoints.pickles import read_pickle
from onepeace_pl.errors import UserError
from onepeace_pl.nn.init import ResetsParameters
from onepeace_pl.utils.files import replacing, save
from onepeace_pl.utils.json_files import JsonObject

CHECKPOINT_FORMATS = ("pretrain", "retrieval", "classify", "vision-only")
State = dict[str, Tensor]

_DECODER = r"^decoder_|^[a-z]+_mask_(token$|head\.)"
_NOT_IN = {  # names that a file of each format does not contain
    "pretrain": r"(?!)",
    "retrieval": _DECODER,
    "classify": rf"{_DECODER}|^[a-z]+_proj\.|^logit_scale$",
}
# optional parameters of a file; without others it is damaged
_MAY_BE_NEW = re.compile(
    r"^encoder\.(projections|transformer\.norms)\.|^logit_scale$|\.mask_embedding$|^decoder\."
)


@dataclass
class Conversion:
    """A converted model.

    Attributes:
        backbone: On the meta device.
        state: Its weights.
        extra: Other tensors, under the source's names.
        origin: For the conversion back.
        account: Report of every key.
        options: The official file's ``cfg``.
        head: Task head of a run's checkpoint.
    """

    backbone: Backbone
    state: State
    extra: State
    origin: Origin
    account: Account
    options: JsonObject | None = None
    head: Head = field(default_factory=Head)


def read_official(
    path: Path, checkpoint_format: str | None = None, image_size: int | None = None, preset: str | None = None
) -> Conversion:
    """Read an official file.

    Args:
        path: The file.
        checkpoint_format: Read only the tensors that a file of this format contains; None for all.
        image_size: Enlarge every image table for images of this side in pixels.
        preset: Required sizes.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file is damaged, of another model, or its sizes are not those asked for.
    """
    content = {"model": read_safetensors(path)} if path.suffix == ".safetensors" else read_pickle(path)
    stored = state_dict_of(content, path)
    raw = canonical(stored)
    found = format_of(stored)
    account = Account(str(path), checkpoint_format or found, len(stored))
    account.note_types(content)
    account.parameters = sum(tensor.numel() for name, tensor in raw.items() if not BUFFERS.search(name))
    taken = raw if checkpoint_format is None else _restrict(raw, checkpoint_format, found)
    account.dropped = sorted(raw.keys() - taken.keys())
    buffers = {name: tensor for name, tensor in taken.items() if BUFFERS.search(name)}
    state = {name: tensor for name, tensor in taken.items() if name not in buffers}
    options = _plain(content.get("cfg") if isinstance(content, dict) else None, account)
    try:
        ours, left = from_official(state)
        config = deduce(ours, (options or {}).get("model"))
        if preset is not None:
            check_preset(config, preset)
        at_source = _on_meta(config)
        left |= _check_buffers(at_source, buffers, account)
        backbone = at_source if image_size is None else _on_meta(enlarged(config, image_size))
        whole, report = fit_state(backbone, ours, str(path))
    except ValueError as error:
        text = str(error)
        raise UserError(text if text.startswith(str(path)) else f"{path}: {text}") from None
    damaged = [name for name in report.new if not _MAY_BE_NEW.search(name) or _in_known_decoder(name, ours)]
    if damaged:
        raise UserError(f"{path}: {damaged[0]} is missing; the checkpoint is damaged or of another model")
    unplaced = to_official({name: ours[name] for name in report.left_over if name in ours})
    left |= unplaced
    account.used = sorted(state.keys() - left.keys())
    account.new, account.left_over, account.resized = report.new, sorted(left), report.resized
    account.note_count(backbone)
    whole |= fresh(backbone, report.new)
    stored_buffers = sorted(buffers.keys() - left.keys())
    if not any(
        name.endswith(".rp_bucket") for name in stored_buffers
    ):  # they have been stripped: the conversion back writes all
        stored_buffers = []
    origin = Origin(account.checkpoint_format, tuple(report.new), tuple(stored_buffers))
    return Conversion(backbone, whole, left, origin, account, options)


def official_state(
    backbone: Backbone,
    state: Mapping[str, Tensor],
    extra: Mapping[str, Tensor],
    origin: Origin | None,
    checkpoint_format: str | None = None,
) -> State:
    """Return the tensors of a model under official names.

    Args:
        backbone: Its position buffers are written too.
        state: Its weights.
        extra: Tensors that belong to no backbone.
        origin: Origin of converted weights: parameters that the source did not have are omitted.
        checkpoint_format: Write only the tensors that a file of this format contains.

    Raises:
        UserError: A modality has no official names.
    """
    made_new = set() if origin is None else set(origin.made_new)
    official = to_official({name: tensor for name, tensor in state.items() if name not in made_new})
    buffers = official_buffers(backbone)
    if origin is not None and origin.buffers:
        buffers = {name: tensor for name, tensor in buffers.items() if name in origin.buffers}
    official |= buffers
    source_format = None if origin is None else origin.checkpoint_format
    if checkpoint_format == "vision-only" and source_format != "vision-only":
        return vision_only(official) | {n: t for n, t in extra.items() if n.startswith(("fc_norm.", "head."))}
    official |= extra
    if source_format == "vision-only" and checkpoint_format in (None, "vision-only"):
        official = {name: t for name, t in official.items() if not name.endswith("fusion_model.version")}
        return vision_names(official)
    return (
        official if checkpoint_format is None else _restrict(official, checkpoint_format, checkpoint_format)
    )


def official_head(head: Head, who: str) -> State:
    """Return a head's tensors under their official names.

    Raises:
        UserError: The original has no such head.
    """
    inner = {n.removeprefix("head."): t for n, t in head.state.items() if n.startswith("head.")}
    official = head_to_official(inner)
    if len(inner) < len(head.state) or head_from_official(official).keys() != inner.keys():
        name = str(head.config.get("class_path") or "its task").rpartition(".")[2]
        raise UserError(
            f"{who} has the head of {name}, for which official files have no names; convert it to a folder, or leave "
            "the head out with --drop-head"
        )
    return official


def write_official(
    path: Path, state: State, options: Mapping[str, object] | None, dtype: torch.dtype
) -> None:
    """Write an official file: a plain pickle for ``.pkl``, else what the original's trainer writes.

    Args:
        path: The file; its folder is made.
        state: Official names.
        options: ``cfg``, where the source had one.
        dtype: Dtype of floating tensors.
    """
    state = {
        name: (tensor.to(dtype) if tensor.is_floating_point() and not BUFFERS.search(name) else tensor)
        .detach()
        .clone()
        .contiguous()
        for name, tensor in state.items()
    }
    if path.suffix == ".pkl":
        with replacing(path) as new, new.open("wb") as file:
            pickle.dump({"model": state, "__author__": "ofa", "matching_heuristics": True}, file)
        return
    content: dict[str, object] = {
        "args": None,
        "cfg": None if options is None else dict(options),
        "model": state,
        "criterion": None,
        "optimizer_history": [],
        "task_state": {},
        "extra_state": {},
    }
    with replacing(path) as new:
        save(content, new)


def format_of(names: Iterable[str]) -> str:
    """Return the format of a checkpoint with these official names."""
    names = [unwrapped(name) for name in names]
    if any(name.startswith("classify_head.") for name in names):
        return "classify"
    if any(re.match(_DECODER, name) for name in names):
        return "pretrain"
    if any(name.startswith("encoder_wrapper.") for name in names):
        return "retrieval"
    return "vision-only"


def enlarged(config: JsonObject, image_size: int) -> JsonObject:
    """Return a backbone's config for images of another size."""
    adapters = {name: dict(spec) for name, spec in config["adapters"].items()}
    sized = [name for name, spec in adapters.items() if "image_size" in spec["init_args"]]
    if not sized:
        raise UserError(f"no adapter of {', '.join(adapters)} has an image_size; leave --image-size out")
    for name in sized:
        adapters[name]["init_args"] = {**adapters[name]["init_args"], "image_size": image_size}
    return {**config, "adapters": adapters}


def fresh(backbone: Backbone, names: list[str]) -> State:
    """Initialise some parameters of a backbone on the meta device, the same values every time."""
    made: State = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name in names:
            owner = backbone.get_submodule(name.rpartition(".")[0])
            owner.to_empty(device="cpu", recurse=False)
            assert isinstance(owner, ResetsParameters)
            owner.reset_parameters()
            made[name] = owner.get_parameter(name.rpartition(".")[2]).detach().clone()
            owner.to(device="meta")
    return made


def _on_meta(config: JsonObject) -> Backbone:
    with torch.device("meta"):
        return Backbone.from_config(config)


def _restrict(state: State, checkpoint_format: str, found: str) -> State:
    if checkpoint_format == "pretrain" and found != "pretrain":
        raise UserError(f"--checkpoint-format pretrain: this is a {found} checkpoint, which has no decoder")
    if checkpoint_format == "vision-only":
        return canonical(vision_only(state))
    return {name: tensor for name, tensor in state.items() if not re.search(_NOT_IN[checkpoint_format], name)}


def _in_known_decoder(name: str, ours: Mapping[str, Tensor]) -> bool:
    """Return whether a decoder parameter belongs to a modality of the file's decoder, or to none."""
    if not name.startswith("decoder.") or name.endswith(".mask_embedding"):
        return False
    known = {n.split(".")[2] for n in ours if n.startswith("decoder.adapters.")}
    everyone = {n.split(".")[2] for n in ours if n.startswith("encoder.adapters.")}
    owner = next((part for part in name.split(".") if part in everyone), None)
    return owner is None or owner in known


def _check_buffers(backbone: Backbone, stored: Mapping[str, Tensor], account: Account) -> State:
    """Compare stored position buffers with computed ones; return those that differ and are kept."""
    computed, kept = official_buffers(backbone), {}
    for name, tensor in stored.items():
        mine = computed.get(name)
        if mine is not None and mine.shape == tensor.shape and torch.equal(mine.to(tensor.dtype), tensor):
            account.buffers.append(name)
        elif mine is not None and mine.shape == tensor.shape and name.endswith(".rp_bucket"):
            raise UserError(
                f"{name} assigns other buckets than this package; the model would not be the same"
            )
        else:
            kept[name] = tensor
            account.notes.append(f"ATTENTION: {name} is another than the model's own; it is kept, not used")
    return kept


def _plain(options: object, account: Account) -> JsonObject | None:
    if not isinstance(options, Mapping):
        return None
    try:
        plain: JsonObject = json.loads(json.dumps(options))
        return plain
    except (TypeError, ValueError):
        account.notes.append("its cfg is more than plain data and is not kept")
        return None
