"""Benchmark datasets, in their authors' formats and in the TSV tables of ONE-PEACE."""

from onepeace_pl.data.datasets.audio_captions import AudioCaps, Clotho
from onepeace_pl.data.datasets.avqa import Avqa
from onepeace_pl.data.datasets.class_folder import ClassFolder
from onepeace_pl.data.datasets.coco_captions import CocoCaptions, CocoKarpathy, Flickr30kTokens
from onepeace_pl.data.datasets.coco_objects import CocoObjects
from onepeace_pl.data.datasets.esc50 import Esc50
from onepeace_pl.data.datasets.fsd50k import Fsd50k
from onepeace_pl.data.datasets.kinetics import Kinetics
from onepeace_pl.data.datasets.mask_folder import Ade20k, CocoStuff, MaskFolder
from onepeace_pl.data.datasets.music_avqa import MusicAvqa
from onepeace_pl.data.datasets.nlvr2 import Nlvr2
from onepeace_pl.data.datasets.official import (
    AvqaTsv,
    Esc50Tsv,
    Fsd50kTsv,
    ImageClassTsv,
    Nlvr2Tsv,
    RefCocoTsv,
    VggSoundTsv,
    VqaTsv,
)
from onepeace_pl.data.datasets.refcoco import RefCoco
from onepeace_pl.data.datasets.vggsound import VggSound
from onepeace_pl.data.datasets.voc_objects import VocObjects
from onepeace_pl.data.datasets.vqav2 import VqaV2
from onepeace_pl.data.datasets.yolo_objects import YoloObjects

__all__ = [
    "Ade20k",
    "AudioCaps",
    "Avqa",
    "AvqaTsv",
    "ClassFolder",
    "Clotho",
    "CocoCaptions",
    "CocoKarpathy",
    "CocoObjects",
    "CocoStuff",
    "Esc50",
    "Esc50Tsv",
    "Flickr30kTokens",
    "Fsd50k",
    "Fsd50kTsv",
    "ImageClassTsv",
    "Kinetics",
    "MaskFolder",
    "MusicAvqa",
    "Nlvr2",
    "Nlvr2Tsv",
    "RefCoco",
    "RefCocoTsv",
    "VggSound",
    "VggSoundTsv",
    "VocObjects",
    "VqaTsv",
    "VqaV2",
    "YoloObjects",
]
