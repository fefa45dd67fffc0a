"""A task and data that do not fit are refused by name, before anything trains."""

from dataclasses import replace
from typing import Any

import pytest

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.datamodule import PairsDataModule, SourceDataModule
from onepeace_pl.data.labels.masks import MaskTarget
from onepeace_pl.data.source import Row, Source
from onepeace_pl.modalities import AudioProcessor, ImageProcessor, TextProcessor
from onepeace_pl.tasks.classification import Classification
from onepeace_pl.tasks.grounding import Grounding
from onepeace_pl.tasks.pretraining import ComposedQuery, Pretraining
from onepeace_pl.tasks.retrieval import Retrieval
from onepeace_pl.tasks.visual_reasoning import VisualReasoning
from onepeace_pl.training.compatibility import check_compatible
from onepeace_pl.training.task import Task

from ..samples import make

CLASSES = ("bell", "drum")


class Rows(Source):
    def __init__(self, *labels: Any, modalities: tuple[str, ...] = ("image",), knows: bool = True) -> None:
        self.every, self.modalities = labels, modalities
        if knows:
            self.labels = lambda: iter(self.every)

    def __len__(self) -> int:
        return len(self.every)

    def __getitem__(self, index: int, /) -> Row:
        return Row(str(index), dict.fromkeys(self.modalities, "none"), self.every[index])


GOOD = Rows({"class": 0}, {"class": "drum"})


def data(
    train: Rows | None = GOOD, validation: Rows | None = None, kind: Any = SourceDataModule, **options: Any
) -> Any:
    processors = {"image": ImageProcessor(64), "text": TextProcessor()}
    sets = {} if validation is None else {"val": validation}
    return kind(processors=processors, train=train, validation=sets, classes=list(CLASSES), **options)


def classification() -> Classification:
    return Classification(make(("text", "image", "audio"), decoder=False), DataInfo(classes=CLASSES))


def check(task: Task, module: SourceDataModule, verb: str = "fit") -> None:
    check_compatible(task.needs, module.offer(verb))


def test_what_fits_passes() -> None:
    check(classification(), data(validation=GOOD))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: data(Rows({"class": 0}, {"class": "harp"})), r"train: row 1: class 'harp' is none of the 2"),
        (lambda: data(validation=Rows({"class": 5})), r"val: row 0: class 5 is no number from 0 to 1"),
        (lambda: data(Rows({}, knows=False)), r"train: row 0: no label 'class'"),
        (lambda: data(Rows({"class": 0}, modalities=("text",))), r"reads image, but train has text"),
        (
            lambda: data(validation=Rows({"class": 0}, modalities=("text",))),
            r"reads image, but val has text",
        ),
    ],
)
def test_what_does_not_fit_is_named(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(classification(), given())


def test_only_what_the_verb_reads_is_checked() -> None:
    wrong = data(Rows({"class": 9}), Rows({"class": 8}))
    for verb, place in (("fit", "train"), ("validate", "val")):
        with pytest.raises(ValueError, match=place):
            check(classification(), wrong, verb)
    check(classification(), wrong, "test")
    check(classification(), wrong, "predict")


def test_fields_that_training_reads() -> None:
    backbone = make(("text", "image"))
    query = ComposedQuery(("image:other", "text"), ("text:composed",))
    task = Pretraining(backbone, DataInfo(), ("text", "image"), composed=[query])
    fields = ("text", "image", "image:other", "text:composed")
    check(task, data(Rows({}, modalities=fields), kind=PairsDataModule))
    with pytest.raises(
        ValueError, match="Pretraining reads text:composed, but train has text, image, image:other"
    ):
        check(task, data(Rows({}, modalities=fields[:3]), kind=PairsDataModule))
    gallery = Rows({}, modalities=("text", "image"))  # evaluation reads its own
    check(task, data(Rows({}, modalities=fields), gallery, PairsDataModule), "validate")


def test_bad_rows_may_be_left_out() -> None:
    with pytest.warns(
        UserWarning, match=r"train: 1 of 2 rows are left out; the first is row 1: class 9 is no"
    ):
        check(classification(), data(Rows({"class": 0}, {"class": 9}), on_error="skip"))
    with pytest.raises(ValueError, match=r"train: not one of its 2 rows can be used; row 0: class 8 is no"):
        check(classification(), data(Rows({"class": 8}, {"class": 9}), on_error="skip"))


def test_values_a_row_are_counted() -> None:
    task = VisualReasoning(make(("text", "image"), decoder=False), DataInfo())
    with pytest.raises(
        ValueError, match=r"train: row 0: 1 values of image a row, and the task reads 2; give the source"
    ):
        check(task, data(Rows({"truth": True}, modalities=("image", "text"))))


def test_kinds_of_evaluation() -> None:
    backbone = make(("text", "image"), decoder=False)
    pairs = Rows({}, modalities=("image", "text"))
    with pytest.raises(ValueError, match=r"on sets of type Gallery, SourceDataModule gives EvaluationSet"):
        check(Retrieval(backbone, DataInfo()), data(pairs, pairs))
    check(Retrieval(backbone, DataInfo()), data(pairs, pairs, PairsDataModule))


def test_processors_are_looked_at() -> None:
    backbone = make(("text", "image"), decoder=False)
    boxes = Rows({"box": (0, 0, 1, 1), "image_size": (2, 2)}, modalities=("image", "text"))
    with pytest.raises(ValueError, match="train_crop to null"):
        check(Grounding(backbone, DataInfo()), data(boxes))
    lacking = SourceDataModule({"audio": AudioProcessor()}, None, {})
    with pytest.raises(ValueError, match=r"reads text, for which the data have no processor"):
        check(Grounding(backbone, DataInfo()), lacking)


class Boxes(Rows):
    """Tells the size of a picture with the row alone."""

    def __getitem__(self, index: int, /) -> Row:
        row = super().__getitem__(index)
        return Row(row.id, row.fields, {**row.labels, "image_size": (10, 10)})


def test_what_is_known_only_with_the_row_is_asked_of_it() -> None:
    task = Grounding(make(("text", "image"), decoder=False), DataInfo())
    processors = {"image": ImageProcessor(64, train_crop=None), "text": TextProcessor()}

    def given(*boxes: tuple[int, ...]) -> SourceDataModule:
        return SourceDataModule(
            processors, Boxes(*({"box": box} for box in boxes), modalities=("image", "text")), {}
        )

    check(task, given((0, 0, 5, 5)))
    with pytest.raises(ValueError, match=r"train: row 1: box .* is reversed"):
        check(task, given((0, 0, 5, 5), (5, 0, 1, 5)))
    with pytest.raises(ValueError, match=r"train: row 1: box .* lies outside its image of 10 x 10"):
        check(task, given((0, 0, 5, 5), (0, 0, 5, 50)))


def test_masks_are_left_to_the_loader() -> None:
    class Unread(Rows):
        def __getitem__(self, index: int, /) -> Row:
            assert index == 0, "made before anything trains"
            return super().__getitem__(index)

    task = Classification(make(("image",), decoder=False), DataInfo(classes=CLASSES))
    task.needs = replace(task.needs, target=MaskTarget(CLASSES))
    check(task, data(Unread({"mask": "a.png"}, {"mask": "b.png"})))
