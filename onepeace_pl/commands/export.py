"""Export a model folder to ONNX or torch.export: a graph for each modality, and for joint passes.

export FOLDER --to exported
export FOLDER --to exported --weights int8
export FOLDER --to exported --format torch --modality image text image+text
"""

import argparse
from collections.abc import Sequence

from onepeace_pl.cli.model_options import add_trust_option


def main(argv: Sequence[str]) -> int:
    """Write graphs and their description, print how much they differ from the model; return the exit code."""
    parser = argparse.ArgumentParser(
        "export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="a model folder")
    parser.add_argument("--to", metavar="FOLDER", required=True, help="folder of the graphs")
    parser.add_argument(
        "--format",
        choices=("onnx", "torch"),
        default="onnx",
        help="onnx needs the extra `export`; torch writes .pt2 files; default: %(default)s",
    )
    parser.add_argument(
        "--weights",
        choices=("float32", "int8"),
        default="float32",
        help="int8: dynamic quantization of matrix products by ONNX Runtime; default: %(default)s",
    )
    parser.add_argument(
        "--modality",
        nargs="+",
        metavar="NAME",
        help="modalities, and combinations such as image+text for one joint pass; default: each modality alone",
    )
    add_trust_option(parser)
    options = parser.parse_args(argv)

    import torch

    from onepeace_pl.hub import OnePeace
    from onepeace_pl.hub.export import export_model

    model = OnePeace.from_pretrained(options.folder, "cpu", torch.float32, trust_remote_code=options.trust)
    for graph in export_model(model, options.to, options.modality, options.format, options.weights):
        print(f"{graph.file}: at most {graph.max_difference:.1e} from the model")
    print(f"wrote {options.to}")
    return 0
