"""Several sources as one."""

from __future__ import annotations

from onepeace_pl.data.source import Source
from onepeace_pl.data.sources.view import SourceView
from onepeace_pl.errors import UserError


class JoinedSource(SourceView):
    """Rows of several sources one after the other, such as AudioCaps and Clotho for training.

    :class:`MergedSource` merges sources of different modalities by id instead.

    Ids get the number of their source in front (``1/...``), so that rows of different sources never belong
    together.

    Args:
        sources: The sources; all have the same modalities, and the same classes where they have some.

    Raises:
        UserError: If there are none, or their modalities or classes differ.
    """

    def __init__(self, sources: list[Source]) -> None:
        if not sources:
            raise UserError("nothing to join: name at least one source")
        self.sources = list(sources)
        super().__init__(sources, [range(len(source)) for source in sources])
        for number, source in enumerate(sources[1:], start=1):
            if set(source.modalities) != set(self.modalities):
                has, first = ", ".join(source.modalities), ", ".join(self.modalities)
                raise UserError(f"source {number} has {has}, the first {first}; all need the same modalities")
            if tuple(source.classes) != self.classes:
                raise UserError(f"source {number} has other classes than the first; give both the same list")

    def id_of(self, which: int, identity: str) -> str:
        """Return the id with the number of its source in front."""
        return f"{which}/{identity}"
