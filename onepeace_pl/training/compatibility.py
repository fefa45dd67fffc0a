"""Compatibility of a task with its data: a comparison of needs and offer, made before anything trains."""

from __future__ import annotations

from collections.abc import Iterator

from lightning.pytorch.utilities import rank_zero_warn

from onepeace_pl.data.labels.checking import check_label
from onepeace_pl.data.loading.dataset import OnError
from onepeace_pl.data.needs import Needs, Offer
from onepeace_pl.data.source import Source, values_of
from onepeace_pl.errors import UserError
from onepeace_pl.training.multitask import named

CHEAP = {"image_size"}
"""Labels for which a row may be made before anything trains: the header of its image is read, no pixel."""


def check_compatible(needs: Needs, offer: Offer) -> None:
    """Reject data that do not meet the requirements of a task.

    Where the data module leaves out bad rows (``on_error: skip``), a warning says how many there are.

    Args:
        needs: Requirements of the task.
        offer: Data that the data module offers to the command at hand; only those are checked.

    Raises:
        UserError: Names the modality, label or kind of evaluation that is missing or wrong, and the remedy.
    """
    if bool(needs.tasks) != bool(offer.tasks):
        raise UserError(
            f"{needs.task} and {offer.data} do not fit: several tasks are trained by MultiTask with "
            "MultiTaskDataModule, one task without either"
        )
    for name, own in needs.tasks.items():
        with named(name):
            check_compatible(own, offer.tasks[name])
    if needs.tasks:
        return
    _check_processors(needs, offer)
    if needs.image_size and offer.transform is None:
        raise UserError(
            f"{offer.data} has no transform, which records the sizes of images before they are padded; give it "
            "onepeace_pl.data.labels.transforms.JointTransform, empty if need be"
        )
    for each in offer.evaluation:
        if not isinstance(each, needs.evaluation):
            raise UserError(
                f"{needs.task} is measured on sets of type {needs.evaluation.__name__}, {offer.data} gives "
                f"{type(each).__name__}; choose a data module that is made for it"
            )
    sources = [] if offer.train is None else [("train", offer.train)]
    if needs.target is not None:  # galleries are read modality by modality
        sources += [(each.name, each.rows) for each in offer.evaluation]
    for place, source in sources:
        read = (needs.fields if source is offer.train else ()) or needs.modalities
        missing = [name for name in read if name not in source.modalities]
        if missing:
            raise UserError(
                f"{needs.task} reads {missing[0]}, but {place} has {', '.join(source.modalities)}; "
                "give the source that field, or the task another"
            )
        if needs.target is not None:
            _check_rows(place, source, needs, offer.on_error)


def _check_processors(needs: Needs, offer: Offer) -> None:
    for modality in needs.modalities:
        if modality not in offer.processors:
            raise UserError(
                f"{needs.task} reads {modality}, for which the data have no processor; "
                f"add data.init_args.processors.{modality}"
            )
    for modality, check in needs.processors.items():
        try:
            check(offer.processors[modality])
        except UserError as error:
            raise UserError(f"processors.{modality}: {error}") from None


def _check_rows(place: str, source: Source, needs: Needs, on_error: OnError) -> None:
    """Reject rows that the task cannot read; with ``skip`` warn how many there are."""
    complaints = _complaints(source, needs)
    first = next(complaints, None)
    if first is None:
        return
    if on_error == "raise":
        raise UserError(f"{place}: {first} (on_error: skip leaves such rows out)")
    wrong = 1 + sum(1 for _ in complaints)
    if wrong >= len(source):
        raise UserError(f"{place}: not one of its {len(source):,} rows can be used; {first}")
    rank_zero_warn(f"{place}: {wrong:,} of {len(source):,} rows are left out; the first is {first}")


def _complaints(source: Source, needs: Needs) -> Iterator[str]:
    """Yield a complaint for each bad row: the number of values of the first row, and the targets of all rows.

    Of a source that cannot give labels without making rows only the first is read. Rows are made where only the size
    of an image is missing; masks are left to the loader.
    """
    read = needs.target
    assert read is not None
    known = source.labels()
    first_row = (source[0].labels for _ in range(min(1, len(source))))
    late = () if known is None else read.loaded_labels
    for number, labels in enumerate(first_row if known is None else known):
        try:
            if number == 0:
                needs.check_values({name: len(values_of(raw)) for name, raw in source[0].fields.items()})
            missing = {name for name in late if name not in labels}
            if missing <= CHEAP:
                read(source[number].labels if missing else labels)
            else:
                check_label(labels)
        except (ValueError, TypeError, OSError) as error:
            yield f"row {number}: {error}"
