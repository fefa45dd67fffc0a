"""How large the benchmarks are, as published: what ``data check`` compares with.

Sources: the papers and pages of the data sets. Where several versions are about, each has its number.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Size of one split.

    Attributes:
        rows: Number of rows, one for each version of the data set; empty where it is not known for sure.
        ids: The same of ids (pictures, clips); empty where there is one a row.
        classes: Number of classes; None where there are none.
    """

    rows: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()
    classes: int | None = None


SIZES = {
    ("imagenet", "train"): Published((1_281_167,), classes=1000),
    ("imagenet", "val"): Published((50_000,), classes=1000),
    ("ade20k", "training"): Published((20_210,), classes=150),
    ("ade20k", "validation"): Published((2000,), classes=150),
    ("coco_stuff", "train2017"): Published((118_287,), classes=171),
    ("coco_stuff", "val2017"): Published((5000,), classes=171),
    ("coco_objects", "train2017"): Published((118_287, 117_266), classes=80),
    ("coco_objects", "val2017"): Published((5000,), classes=80),
    ("coco", "train"): Published((414_113,), (82_783,)),
    ("coco", "train+restval"): Published((566_747,), (113_287,)),
    ("coco", "val"): Published((25_010,), (5000,)),
    ("coco", "test"): Published((25_010,), (5000,)),
    ("flickr30k", "all"): Published((158_915,), (31_783,)),
    ("flickr30k", "train"): Published((145_000,), (29_000,)),
    ("flickr30k", "val"): Published((5070,), (1014,)),
    ("flickr30k", "test"): Published((5000,), (1000,)),
    ("audiocaps", "train"): Published((49_838,), (49_838,)),
    ("audiocaps", "val"): Published((2475,), (495,)),
    ("audiocaps", "test"): Published((4875,), (975,)),
    ("clotho", "development"): Published((14_465, 19_195), (2893, 3839)),  # version 1, version 2
    ("clotho", "validation"): Published((5225,), (1045,)),
    ("clotho", "evaluation"): Published((5225,), (1045,)),
    ("fsd50k", "train"): Published((36_796,), classes=200),
    ("fsd50k", "val"): Published((4170,), classes=200),
    ("fsd50k", "dev"): Published((40_966,), classes=200),
    ("fsd50k", "eval"): Published((10_231,), classes=200),
    ("vggsound", "train"): Published((183_730,), classes=309),
    ("vggsound", "test"): Published((15_446,), classes=309),
    ("music_avqa", "train"): Published((31_927, 32_087)),  # updated, original
    ("music_avqa", "val"): Published((4568, 4595)),
    ("music_avqa", "test"): Published((9129, 9185)),
    ("refcoco", "train"): Published((120_624,)),
    ("refcoco", "val"): Published((10_834,)),
    ("refcoco", "testA"): Published((5657,)),
    ("refcoco", "testB"): Published((5095,)),
    ("refcoco+", "train"): Published((120_191,)),
    ("refcoco+", "val"): Published((10_758,)),
    ("refcoco+", "testA"): Published((5726,)),
    ("refcoco+", "testB"): Published((4889,)),
    ("refcocog", "train"): Published((80_512,)),
    ("refcocog", "val"): Published((4896,)),
    ("refcocog", "test"): Published((9602,)),
    ("vqav2", "train2014"): Published((443_757,)),
    ("vqav2", "val2014"): Published((214_354,)),
    ("vqav2", "test-dev2015"): Published((107_394,)),
    ("vqav2", "test2015"): Published((447_793,)),
    ("nlvr2", "train"): Published((86_373,)),
    ("nlvr2", "dev"): Published((6982,)),
    ("nlvr2", "test1"): Published((6967,)),
    ("kinetics400", "train"): Published(classes=400),  # how many clips are still to be had changes
    ("kinetics400", "val"): Published(classes=400),
}


def published(benchmark: str, split: str) -> Published | None:
    """Return the published size of a split; None where it is not known here."""
    return SIZES.get((benchmark, split))
