"""What a task reads and trains: the part of a config that depends on the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onepeace_pl.finetuning.guesses import Guesses
from onepeace_pl.finetuning.init_model import InitModel
from onepeace_pl.finetuning.parts import Rows
from onepeace_pl.utils.json_files import JsonObject


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    Attributes:
        data: File or folder of the data.
        model: The model to start from.
        guesses: Takes in what is guessed.
        val: Validation data, or their share; None to find them.
        classes: Names of the classes; None for those of the data.
        columns: Field or label to column of a table.
        root: Folder that media paths of a table start from; None to find it.
        modality: Modality that is classified, paired or asked about; None to find it.
        size: Side of images in pixels; None for the model's.
        endings: Ending of files to modality, for other modalities than image, audio and text.
    """

    data: Path
    model: InitModel
    guesses: Guesses
    val: str | None = None
    classes: Sequence[str] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    root: str | None = None
    modality: str | None = None
    size: int | None = None
    endings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Task and data of a config.

    Attributes:
        title: What is trained, such as "Image classification".
        task: Class and options of the task.
        modalities: Modalities that it reads.
        rows: The rows of each part.
        data_module: Class of the data module.
        processors: Options of the processors that differ from the model's, by modality; or a whole class and options.
        transform: Class and options of the joint transform of images and labels.
        image_size: Side of the images that the model sees, where it is not that of its preprocessing.
        needs_classes: Whether it predicts classes, of which there must be two, each with training rows.
        batch_size: Usual batch size.
        updates: Usual number of updates.
        keeps_vectors: Whether it trains vectors that are already of use, at a lower learning rate.
    """

    title: str
    task: JsonObject
    modalities: Sequence[str]
    rows: Rows
    data_module: str = "SourceDataModule"
    processors: Mapping[str, JsonObject] = field(default_factory=dict)
    transform: JsonObject | None = None
    image_size: int | None = None
    needs_classes: bool = False
    batch_size: int = 64
    updates: int = 500
    keeps_vectors: bool = False
