"""Lightning checkpoints of this package (``RUN/checkpoints/last.ckpt``), converted to a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from onepeace_pl.backbone import DecoderConfig, TransformerConfig
from onepeace_pl.backbone.build import build_for
from onepeace_pl.checkpoints.account import Account
from onepeace_pl.checkpoints.base import BaseWeights
from onepeace_pl.checkpoints.deduce import deduce
from onepeace_pl.checkpoints.folder import Origin, load_processors, read_config
from onepeace_pl.checkpoints.head import PREFIX, head_of_checkpoint, plain
from onepeace_pl.checkpoints.loading import CONFIG, fit_state, is_experiment, state_dict_of, with_base_weights
from onepeace_pl.checkpoints.official import Conversion
from onepeace_pl.checkpoints.pickles import read_pickle
from onepeace_pl.checkpoints.preprocessing import released_processors, set_tokenizer
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import Processor
from onepeace_pl.modalities.text.tokenizer import HasTokenizer, Tokenizer
from onepeace_pl.utils.json_files import JsonObject

BACKBONE = "backbone."


def is_training_checkpoint(path: Path) -> bool:
    """Return whether a file is a Lightning checkpoint of this package."""
    if path.suffix in (".pkl", ".safetensors"):
        return False
    content = read_pickle(path)
    return isinstance(content, Mapping) and (
        "base" in content or is_experiment(content.get("state_dict", {}))
    )


def read_training_checkpoint(path: Path, trust: bool = False) -> tuple[Conversion, dict[str, Processor]]:
    """Read a run's checkpoint: its model, and the run's preprocessing.

    The config is that of the hyper-parameters; without them it is deduced from the tensors.
    Preprocessing comes from the run's ``model`` folder or ``config.yaml``, else it is the released one.

    Args:
        path: The file.
        trust: Import the classes of the run's files whatever their module (:mod:`onepeace_pl.utils.trust`).

    Raises:
        UserError: The file is damaged, its weights and its config do not belong together, or a class is not trusted.
    """
    content = read_pickle(path)
    state = state_dict_of(content, path)
    assert isinstance(content, Mapping)  # else it had no tensors
    mine = {n.removeprefix(BACKBONE): t for n, t in state.items() if n.startswith(BACKBONE)}
    extra = {name: tensor for name, tensor in state.items() if not name.startswith((BACKBONE, PREFIX))}
    stored = plain(content.get("hyper_parameters") or {}).get("backbone")
    own, base = mine, content.get("base")
    if base:
        mine = with_base_weights(own, BaseWeights.from_config(base), path)
    backbone = build_for(mine, _config(stored) if stored else deduce(mine), str(path), trust)
    backbone.add_matryoshka_dims(content.get("matryoshka_dims", ()))
    backbone.add_joint(content.get("joint", ()))
    if base:
        wanted = {name for name, _ in backbone.named_parameters()}
        mine = {name: tensor for name, tensor in mine.items() if name in own or name in wanted}
    whole, report = fit_state(backbone, mine, str(path))
    wrong = report.new or report.left_over
    if wrong:
        raise UserError(f"{path}: weights and config do not belong together ({wrong[0]})")
    account = Account(str(path), "lightning", len(state), report.used, left_over=sorted(extra))
    account.parameters = sum(tensor.numel() for tensor in whole.values())
    if base:
        account.notes.append(f"{len(whole) - len(own):,} of its tensors are those of {base['path']}")
    if not stored:
        account.notes.append("no config in the checkpoint: sizes were deduced from the tensors")
    known, where = _processors(path, content, trust)
    processors = released_processors(backbone, _tokenizer(content)) | known
    account.notes.append(f"preprocessing: {where}")
    guessed = [name for name in processors if name not in known]
    if known and guessed:
        account.notes.append(f"ATTENTION: preprocessing of {', '.join(guessed)}: the released models'")
    head = head_of_checkpoint(state, content.get("hyper_parameters"))
    account.head = sorted(head.state)
    conversion = Conversion(backbone, whole, extra, Origin("lightning"), account, head=head)
    return conversion, {name: p for name, p in processors.items() if name in backbone.modalities}


def _config(stored: JsonObject) -> JsonObject:
    """Turn hyper-parameters (class path and options) into the config of a backbone."""
    options = stored.get("init_args", stored)
    known_encoder, known_decoder = (
        TransformerConfig.__dataclass_fields__,
        DecoderConfig.__dataclass_fields__,
    )
    return {
        "adapters": options["adapters"],
        "transformer": {k: v for k, v in (options.get("transformer") or {}).items() if k in known_encoder},
        "decoder": {k: v for k, v in (options.get("decoder") or {}).items() if k in known_decoder},
        "stage": options.get("stage", "vision_language"),
        "fuse": options.get("fuse", "sum"),
    }


def _processors(path: Path, content: Mapping[str, object], trust: bool) -> tuple[dict[str, Processor], str]:
    run = path.absolute().parent.parent
    if (run / "model" / CONFIG).is_file():
        return load_processors(
            run / "model", read_config(run / "model"), trust
        ), "that of the run's model folder"
    if (run / "config.yaml").is_file():
        made = load_processors(
            run, {"processors": _configured_processors(run / "config.yaml")}, trust, "config.yaml"
        )
        untrained = [p for p in made.values() if isinstance(p, HasTokenizer) and p.tokenizer is None]
        set_tokenizer(untrained, _tokenizer(content))
        if made:
            return made, "that of the run's config.yaml"
    return {}, "ATTENTION: the released models', for the run's own is not beside the checkpoint"


def _configured_processors(path: Path) -> JsonObject:
    """Return the processors in a run's ``config.yaml``; none of the data of several tasks."""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return dict(((config.get("data") or {}).get("init_args") or {}).get("processors") or {})
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        line = " ".join(str(error).split())
        raise UserError(f"{path} is no config of a run ({line}); move it away to go on without it") from None


def _tokenizer(content: Mapping[str, object]) -> Tokenizer | None:
    """Return the tokenizer that a data module has stored in the checkpoint."""
    for part in content.values():
        found = part.get("tokenizers") if isinstance(part, Mapping) else None
        if isinstance(found, Mapping) and found:
            return Tokenizer.from_json(next(iter(found.values())))
    return None
