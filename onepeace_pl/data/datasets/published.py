"""Published sizes of the benchmarks, which ``data check`` compares with.

Sources: the papers and pages of the datasets. Where there are several versions, each has its number.
"""

from __future__ import annotations

from onepeace_pl.data.source import PublishedSize

SIZES = {
    ("imagenet", "train"): PublishedSize((1_281_167,), classes=1000),
    ("imagenet", "val"): PublishedSize((50_000,), classes=1000),
    ("ade20k", "training"): PublishedSize((20_210,), classes=150),
    ("ade20k", "validation"): PublishedSize((2000,), classes=150),
    ("coco_stuff", "train2017"): PublishedSize((118_287,), classes=171),
    ("coco_stuff", "val2017"): PublishedSize((5000,), classes=171),
    ("coco_objects", "train2017"): PublishedSize((118_287, 117_266), classes=80),
    ("coco_objects", "val2017"): PublishedSize((5000,), classes=80),
    ("coco", "train"): PublishedSize((414_113,), (82_783,)),
    ("coco", "train+restval"): PublishedSize((566_747,), (113_287,)),
    ("coco", "val"): PublishedSize((25_010,), (5000,)),
    ("coco", "test"): PublishedSize((25_010,), (5000,)),
    ("flickr30k", "all"): PublishedSize((158_915,), (31_783,)),
    ("flickr30k", "train"): PublishedSize((145_000,), (29_000,)),
    ("flickr30k", "val"): PublishedSize((5070,), (1014,)),
    ("flickr30k", "test"): PublishedSize((5000,), (1000,)),
    ("audiocaps", "train"): PublishedSize((49_838,), (49_838,)),
    ("audiocaps", "val"): PublishedSize((2475,), (495,)),
    ("audiocaps", "test"): PublishedSize((4875,), (975,)),
    ("clotho", "development"): PublishedSize((14_465, 19_195), (2893, 3839)),  # version 1, version 2
    ("clotho", "validation"): PublishedSize((5225,), (1045,)),
    ("clotho", "evaluation"): PublishedSize((5225,), (1045,)),
    ("fsd50k", "train"): PublishedSize((36_796,), classes=200),
    ("fsd50k", "val"): PublishedSize((4170,), classes=200),
    ("fsd50k", "dev"): PublishedSize((40_966,), classes=200),
    ("fsd50k", "eval"): PublishedSize((10_231,), classes=200),
    ("vggsound", "train"): PublishedSize((183_730,), classes=309),
    ("vggsound", "test"): PublishedSize((15_446,), classes=309),
    ("music_avqa", "train"): PublishedSize((31_927, 32_087)),  # updated, original
    ("music_avqa", "val"): PublishedSize((4568, 4595)),
    ("music_avqa", "test"): PublishedSize((9129, 9185)),
    ("refcoco", "train"): PublishedSize((120_624,)),
    ("refcoco", "val"): PublishedSize((10_834,)),
    ("refcoco", "testA"): PublishedSize((5657,)),
    ("refcoco", "testB"): PublishedSize((5095,)),
    ("refcoco+", "train"): PublishedSize((120_191,)),
    ("refcoco+", "val"): PublishedSize((10_758,)),
    ("refcoco+", "testA"): PublishedSize((5726,)),
    ("refcoco+", "testB"): PublishedSize((4889,)),
    ("refcocog", "train"): PublishedSize((80_512,)),
    ("refcocog", "val"): PublishedSize((4896,)),
    ("refcocog", "test"): PublishedSize((9602,)),
    ("vqav2", "train2014"): PublishedSize((443_757,)),
    ("vqav2", "val2014"): PublishedSize((214_354,)),
    ("vqav2", "test-dev2015"): PublishedSize((107_394,)),
    ("vqav2", "test2015"): PublishedSize((447_793,)),
    ("nlvr2", "train"): PublishedSize((86_373,)),
    ("nlvr2", "dev"): PublishedSize((6982,)),
    ("nlvr2", "test1"): PublishedSize((6967,)),
    ("kinetics400", "train"): PublishedSize(classes=400),  # how many clips are still to be had changes
    ("kinetics400", "val"): PublishedSize(classes=400),
}


def published(benchmark: str, split: str) -> PublishedSize | None:
    """Return the published size of a split; None where it is not known here."""
    return SIZES.get((benchmark, split))
