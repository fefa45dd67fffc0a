"""Convert official and run checkpoints to model folders, and back.

convert one-peace.pt --to FOLDER --bpe BPE      an official file; sizes are deduced from its tensors
convert one-peace-vision.pkl --to FOLDER        the vision-only file
convert RUN/checkpoints/last.ckpt --to FOLDER   a checkpoint of a run
convert FOLDER --to FOLDER --image-size 384     enlarge the position tables of images
convert RUN/model --to FOLDER --merge           a self-contained folder; merge LoRA
convert FOLDER --to official.pt                 an official file (.pkl: vision-only)

Reading a file runs no code of it. Every key is reported.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onepeace_pl.errors import UserError

if TYPE_CHECKING:
    from onepeace_pl.backbone import Backbone
    from onepeace_pl.modalities import Processor
    from onepeace_pl.modalities.text.tokenizer import Tokenizer

DTYPES = ("float32", "bfloat16", "float16")
CHECKPOINT_FORMATS = ("pretrain", "retrieval", "classify", "vision-only")
FILES = (".pt", ".pth", ".bin", ".pkl")


def main(argv: Sequence[str]) -> int:
    """Convert and print what became of every key; return the exit code."""
    options = _parser().parse_args(argv)
    source, target = Path(options.source), Path(options.to)
    if not source.exists():
        raise FileNotFoundError(f"no file or folder {source}; check the path")
    taken = target if target.suffix in FILES else target / "config.json"
    if taken.exists() and not options.overwrite:
        raise UserError(f"{taken} exists already; say --overwrite to replace it, or give another --to")
    if taken.exists() and target.resolve() == source.resolve():
        raise UserError(f"{source} is source and target; give another --to")
    if target.suffix in FILES:
        _write_official(source, target, options)
    elif source.is_dir():
        _resize_folder(source, target, options)
    else:
        _read_checkpoint(source, target, options)
    print(f"wrote {target}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "convert", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="official file, Lightning checkpoint of a run, or model folder")
    parser.add_argument("--to", required=True, metavar="PATH", help="folder, or .pt, .pth or .pkl file")
    parser.add_argument(
        "--checkpoint-format",
        choices=CHECKPOINT_FORMATS,
        help="take no more than such a file holds; default: all",
    )
    parser.add_argument(
        "--image-size", type=int, metavar="PIXELS", help="enlarge the position tables of images"
    )
    parser.add_argument("--preset", help="require the sizes of this preset")
    parser.add_argument("--bpe", metavar="DIR", help="folder with dict.txt, encoder.json, vocab.bpe")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="dtype of the weights")
    parser.add_argument("--merge", action="store_true", help="merge LoRA into the weights")
    parser.add_argument(
        "--drop-head", action="store_true", default=None, help="omit the task's head from an official file"
    )
    parser.add_argument(
        "--trust", action="store_true", help="import classes of other packages that the source names"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file or folder")
    parser.add_argument("--verbose", action="store_true", help="list every key")
    return parser


def _read_checkpoint(source: Path, target: Path, options: argparse.Namespace) -> None:
    from onepeace_pl.checkpoints.folder import save_folder
    from onepeace_pl.checkpoints.head import save_head
    from onepeace_pl.checkpoints.lightning import is_training_checkpoint, read_training_checkpoint
    from onepeace_pl.checkpoints.official import read_official
    from onepeace_pl.checkpoints.peft import merged
    from onepeace_pl.checkpoints.preprocessing import released_processors, set_tokenizer

    tokenizer = _tokenizer(options.bpe)
    if is_training_checkpoint(source):
        _not_for(options, "a checkpoint of a run", "checkpoint_format", "image_size", "preset", "drop_head")
        conversion, processors = read_training_checkpoint(source, options.trust)
        set_tokenizer(processors.values(), tokenizer)
    else:
        conversion = read_official(source, options.checkpoint_format, options.image_size, options.preset)
        processors = released_processors(conversion.backbone, tokenizer)
    backbone, state = conversion.backbone, conversion.state
    if options.merge:
        backbone, state = merged(backbone, state, str(source))
    print("\n".join(conversion.account.lines(None if options.verbose else 6)))
    _report_tokenizer(conversion.backbone, processors)
    save_folder(
        target,
        backbone,
        processors,
        _cast(state, options.dtype),
        _cast(conversion.extra, options.dtype),
        conversion.origin,
        conversion.options,
        head=bool(conversion.head.state),
    )
    save_head(target, _cast(conversion.head.state, options.dtype), conversion.head.config)


def _resize_folder(source: Path, target: Path, options: argparse.Namespace) -> None:
    import torch

    from onepeace_pl.backbone import Backbone
    from onepeace_pl.checkpoints.folder import (
        load_processors,
        read_config,
        read_extra,
        read_model,
        read_official,
        read_origin,
        save_folder,
    )
    from onepeace_pl.checkpoints.head import head_of_folder, save_head
    from onepeace_pl.checkpoints.loading import fit_state
    from onepeace_pl.checkpoints.official import enlarged
    from onepeace_pl.checkpoints.peft import merged
    from onepeace_pl.checkpoints.preprocessing import set_tokenizer
    from onepeace_pl.checkpoints.run_record import RunRecord
    from onepeace_pl.hub import Calibration
    from onepeace_pl.modalities import ImageProcessor

    _not_for(options, "a model folder", "checkpoint_format", "preset", "drop_head")
    config = read_config(source)
    processors = load_processors(source, config, options.trust)
    backbone, weights = read_model(source, config, options.trust)
    if options.image_size is not None:
        with torch.device("meta"):
            backbone = Backbone.from_config(enlarged(config["backbone"], options.image_size))
        for processor in processors.values():
            if isinstance(processor, ImageProcessor):
                processor.size = options.image_size
    set_tokenizer(processors.values(), _tokenizer(options.bpe))
    state, report = fit_state(backbone, weights, str(source))
    if report.new or report.left_over:
        raise UserError(f"{source}: weights and config do not belong together; convert it again")
    if options.merge:
        backbone, state = merged(backbone, state, str(source))
    print("\n".join(report.lines(10**6 if options.verbose else 6)))
    head = head_of_folder(source)
    save_folder(
        target,
        backbone,
        processors,
        _cast(state, options.dtype),
        _cast(read_extra(source), options.dtype),
        read_origin(config),
        read_official(source),
        run=RunRecord.of_folder(source) if options.image_size is None else None,
        head=bool(head.state),
    )
    save_head(target, _cast(head.state, options.dtype), head.config)
    if head.state:
        print(f"  {head.line()}")
    calibration = Calibration.of_folder(source)
    if calibration is not None and options.image_size is None:
        calibration.save(target)
    elif calibration is not None:
        print(
            "  ATTENTION: the calibration is left out; calibrate again, images of this size have other vectors"
        )


def _write_official(source: Path, target: Path, options: argparse.Namespace) -> None:
    import torch

    from onepeace_pl.checkpoints.folder import read_config, read_extra, read_model, read_official, read_origin
    from onepeace_pl.checkpoints.head import head_of_folder
    from onepeace_pl.checkpoints.official import official_head, official_state, write_official
    from onepeace_pl.checkpoints.peft import merged

    _not_for(options, "an official file as target", "image_size", "preset", "bpe")
    if not source.is_dir():
        raise UserError(f"{source} is no model folder; convert it to a folder first, then that to {target}")
    config, wanted = read_config(source), options.checkpoint_format
    if target.suffix == ".pkl" and wanted is None:
        wanted = "vision-only"
    backbone, weights = read_model(source, config, options.trust)
    origin, extra = read_origin(config), read_extra(source)
    if options.merge:
        backbone, weights = merged(backbone, weights, str(source))
    head = {} if options.drop_head else official_head(head_of_folder(source), str(source))
    extra |= head
    state = official_state(backbone, weights, extra, origin, wanted)
    lost = [name for name in extra if name not in state and name.startswith("classify_head.")]
    if lost and options.checkpoint_format is None and not options.drop_head:
        raise UserError(
            f"a {wanted} file has no place for the head of {source} ({lost[0]}); leave it out with --drop-head"
        )
    fresh = list(origin.made_new) if origin else []
    print(f"{source}: {len(state)} official keys, {sum(t.numel() for t in state.values()):,} numbers")
    if head:
        print(f"  {len(head)} of them are the task's head; official files do not name its classes")
    if fresh:
        print(f"  left out, since the source of {source} had none: {', '.join(fresh)}")
    dropped = sorted(name for name in extra if name not in state) if wanted else []
    if dropped:
        print(f"  left out of a {wanted} file: {', '.join(dropped)}")
    if options.verbose:
        print("\n".join(f"    {name} {list(tensor.shape)}" for name, tensor in sorted(state.items())))
    write_official(target, state, read_official(source), getattr(torch, options.dtype))


def _tokenizer(folder: str | None) -> "Tokenizer | None":
    from onepeace_pl.modalities.text.tokenizer import Tokenizer

    return None if folder is None else Tokenizer.load(folder)


def _report_tokenizer(backbone: "Backbone", processors: "Mapping[str, Processor]") -> None:
    from onepeace_pl.modalities.text.tokenizer import HasTokenizer

    for name, processor in processors.items():
        if not isinstance(processor, HasTokenizer):
            continue
        rows = backbone.encoder.adapter(name).vocabulary
        if processor.tokenizer is None:
            print(f"  ATTENTION: no tokenizer for {name}; give --bpe, or a tokenizer to from_pretrained")
        elif rows is not None and processor.tokenizer.vocabulary_size > rows:
            print(
                f"  ATTENTION: the tokenizer has {processor.tokenizer.vocabulary_size} ids, the model {rows};"
                " texts with other tokens cannot be embedded"
            )


def _not_for(options: argparse.Namespace, what: str, *names: str) -> None:
    for name in names:
        if getattr(options, name) is not None:
            raise UserError(f"--{name.replace('_', '-')} has no meaning for {what}; leave it out")


def _cast(state: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    import torch

    kind = getattr(torch, dtype)
    return {name: t.to(kind) if t.is_floating_point() else t for name, t in state.items()}
