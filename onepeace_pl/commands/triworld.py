"""Draw scenes of TriWorld, export it in the official layouts, or compute its optimum.

triworld sheet --out FILE.png         a contact sheet: images with boxes and masks, spectrograms, captions
triworld write --out FOLDER [flags]   images, audio, tables, COCO JSON and masks
triworld optimum [flags]              best achievable recall of the standard galleries
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from onepeace_pl.errors import UserError, nearest


def main(argv: Sequence[str]) -> int:
    """Run one of the three and return the exit code."""
    actions: dict[str, Callable[[list[str]], int]] = {"sheet": _sheet, "write": _write, "optimum": _optimum}
    action, *words = argv or ["--help"]
    if action in ("-h", "--help"):
        print(__doc__)
        return 0
    if action not in actions:
        raise UserError(f"triworld has no '{action}'; {nearest(action, actions)}")
    return actions[action](words)


def _parser(action: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"triworld {action}", description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the dataset")
    parser.add_argument(
        "--objects", type=int, nargs=2, default=(1, 2), metavar=("MIN", "MAX"), help="objects per scene"
    )
    return parser


def _sheet(words: list[str]) -> int:
    parser = _parser("sheet", "Draw one page of scenes.")
    parser.add_argument("--out", type=Path, default=Path("triworld.png"), help="file to write")
    parser.add_argument("--split", default="train", choices=("train", "val", "test"), help="split")
    parser.add_argument("--scenes", type=int, default=64, help="number of scenes")
    parser.add_argument("--seconds", type=float, default=1.0, help="duration of audio in seconds")
    options = parser.parse_args(words)
    from onepeace_pl.triworld.sheet import draw_sheet

    objects = (options.objects[0], options.objects[1])
    print(draw_sheet(options.out, options.split, options.scenes, objects, options.seconds, options.seed))
    return 0


def _write(words: list[str]) -> int:
    parser = _parser("write", "Write scenes in the official layouts.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--scenes", type=int, default=1000, help="number of training scenes")
    parser.add_argument(
        "--eval-scenes", type=int, default=200, help="number of scenes in each of val and test"
    )
    parser.add_argument("--image-size", type=int, default=224, help="side of images in pixels")
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of audio in seconds")
    parser.add_argument("--captions", type=int, default=2, help="captions per scene and modality")
    parser.add_argument("--questions", type=int, default=3, help="questions per scene and modality")
    parser.add_argument("--clip-frames", type=int, default=0, help="frames per clip; 0: no clips")
    parser.add_argument(
        "--novelty",
        default="exclude",
        choices=("exclude", "include", "visible", "audible"),
        help="held-out combinations of attributes in val and test",
    )
    options = parser.parse_args(words)
    from onepeace_pl.triworld.files import WriteOptions, write_world

    counts = {"train": options.scenes, "val": options.eval_scenes, "test": options.eval_scenes}
    written = WriteOptions(
        scenes={split: count for split, count in counts.items() if count},
        image_size=options.image_size,
        seconds=options.seconds,
        objects=(options.objects[0], options.objects[1]),
        captions=options.captions,
        questions=options.questions,
        clip_frames=options.clip_frames,
        novelty=options.novelty,
        seed=options.seed,
    )
    print(write_world(options.out, written))
    return 0


def _optimum(words: list[str]) -> int:
    parser = _parser("optimum", "Print the best achievable recall of the standard galleries.")
    parser.add_argument("--size", type=int, default=256, help="scenes per gallery")
    parser.add_argument("--split", default="val", choices=("val", "test"), help="split")
    options = parser.parse_args(words)
    from onepeace_pl.triworld.optimum.galleries import STAGES, galleries
    from onepeace_pl.triworld.optimum.retrieval import KS, chance

    objects = (options.objects[0], options.objects[1])
    print(f"{'':44}" + "".join(f"{f'R@{k}':>8}" for k in KS))
    print(f"{f'chance ({options.size} scenes)':44}" + _numbers(chance(options.size)))
    for stage in STAGES:
        made = galleries(
            stage=stage,
            split=options.split,
            size=options.size,
            novel_size=options.size,
            objects=objects,
            seed=options.seed,
        )
        for gallery in made:
            alone = {f"{modality} alone": optima for modality, optima in gallery.optimum_alone.items()}
            for name, optima in {"": gallery.optimum, **gallery.optimum_variants, **alone}.items():
                for direction, recall in optima.items():
                    suffix = " ".join(
                        part for part in (gallery.name.rpartition("_novel")[1][1:], name) if part
                    )
                    print(f"{direction + (f' ({suffix})' if suffix else ''):44}" + _numbers(recall))
    return 0


def _numbers(recall: Mapping[int, float]) -> str:
    return "".join(f"{value:8.3f}" for value in recall.values())
