"""Renamed config keys and classes; an error names the new one."""

from collections.abc import Collection

from onepeace_pl.cli.short_names import modules_by_class

KEYS = (  # old, new; an old name that had several meanings may come several times
    ("blocks", "out_indices"),
    ("checkpoint", "activation_checkpointing"),
    ("decomposed", "rel_pos_size"),
    ("distance", "l1_weight"),
    ("empty", "keep_empty"),
    ("ending", "mask_suffix"),
    ("everywhere", "global_blocks"),
    ("extent", "image_size"),
    ("extra", "extra_extractors"),
    ("extra", "extra_levels"),
    ("facts", "data_info"),
    ("fields", "modalities"),
    ("ignored", "ignored_values"),
    ("least", "min_count"),
    ("low_rank", "lora"),
    ("most", "cat_max_ratio"),
    ("most", "max_detections"),
    ("numbers", "class_values"),
    ("overlap", "giou_weight"),
    ("overlaps", "iou_thresholds"),
    ("pair", "modalities"),
    ("phrasing", "templates"),
    ("picture_size", "image_size"),
    ("rescored", "score_masks"),
    ("restores", "reconstructs"),
    ("score", "score_threshold"),
    ("soft", "soft_nms"),
    ("suppression", "nms_iou"),
    ("topic", "group"),
    ("until", "stop_after"),
    ("window", "window_size"),
)
CLASSES = {  # old name -> new name; a class that only moved is found by its name
    "BlockPyramid": "BlockFeaturePyramid",
    "ClassifyHead": "ClassificationHead",
    "DecoderOptions": "DecoderConfig",
    "LowRank": "LoRAStage",
    "MeanHead": "MeanPoolingHead",
    "SimplePyramid": "SimpleFeaturePyramid",
    "TransformerOptions": "TransformerConfig",
    "TriWorldData": "TriWorldDataModule",
    "TriWorldTask": "TriWorldTaskDataModule",
}


def renamed_key(key: str, valid: Collection[str]) -> str | None:
    """Return the new name of a dotted key, None where it has none.

    Args:
        key: The unknown key; its steps are looked up, the last one first.
        valid: Keys that would be right; the renamed part must be among them.
    """
    steps = key.split(".")
    for at in reversed(range(len(steps))):
        for old, new in KEYS:
            if steps[at] == old and ".".join([*steps[:at], new]) in valid:
                return ".".join([*steps[:at], new, *steps[at + 1 :]])
    return None


def moved_class(path: str) -> str | None:
    """Return the dotted path of a class of this package that has moved or has another name; None for others."""
    package, _, rest = path.partition(".")
    old = rest.rpartition(".")[2] or package
    name = CLASSES.get(old, old)
    module = modules_by_class().get(name) if package == "onepeace_pl" or old in CLASSES else None
    new = f"{module}.{name}"
    return new if module and new != path else None
