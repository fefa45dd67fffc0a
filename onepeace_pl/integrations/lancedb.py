"""Embedding function of LanceDB: tables that embed what is added and searched with a model folder.

``import onepeace_pl.integrations.lancedb`` registers it as ``onepeace``. A table notes its options, so that a program
that opens the table later has to import this module, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from onepeace_pl.errors import UserError
from onepeace_pl.utils.libraries import LibraryError

try:
    from lancedb.embeddings import EmbeddingFunction, register
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "lancedb":
        raise
    raise LibraryError("this needs lancedb: pip install 'onepeace-pl[search]'") from error

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from onepeace_pl.hub import OnePeace
    from onepeace_pl.modalities import RawInput

    Vector = np.ndarray[tuple[int], np.dtype[np.float32]]

__all__ = ["OnePeaceFunction"]


@register("onepeace")
class OnePeaceFunction(EmbeddingFunction):
    """LanceDB embedding function of a model folder.

    Made by ``get_registry().get("onepeace").create(folder=..., modality=...)``. A table notes the folder, not its
    weights: keep a folder that tables were made with as it is.

    Attributes:
        folder: Model folder.
        modality: Modality of the source column: texts, paths of files, or their bytes.
        device: Device; empty for a GPU if available, else the CPU.
        num_workers: Threads that read and prepare values that are added.
    """

    folder: str
    modality: str = "image"
    device: str = ""
    num_workers: int = 0

    model_config: ClassVar[dict[str, object]] = {"ignored_types": (cached_property,)}

    @cached_property
    def onepeace(self) -> OnePeace:
        """The model, loaded when it is first used."""
        from onepeace_pl.hub import OnePeace

        return OnePeace.from_pretrained(self.folder, device=self.device or None)

    def ndims(self) -> int:
        """Return the embedding dimension."""
        return self.onepeace.dim

    def compute_source_embeddings(self, values: pa.Array | Sequence[RawInput]) -> list[Vector]:
        """Return the vectors of values of the source column.

        Raises:
            UserError: A value cannot be read.
        """
        inputs: dict[str, Any] = {self.modality: list(self.sanitize_input(values))}  # of Arrow's values
        return list(self.onepeace.encode(num_workers=self.num_workers, convert_to_numpy=True, **inputs))

    def compute_query_embeddings(self, query: RawInput | Mapping[str, RawInput]) -> list[Vector]:
        """Return the vector of one query.

        Args:
            query: A text, a value of the source's modality that is no str (such as a ``Path``), or values by
                modality, which are fused: ``{"text": "at night", "image": "street.png"}``.

        Raises:
            UserError: The query is empty, or cannot be read.
        """
        given = query if isinstance(query, Mapping) else None
        if given is None:
            given = {"text" if isinstance(query, str) else self.modality: query}
        if not given:
            raise UserError("empty query; give a text, or values by modality")
        inputs: dict[str, Any] = {name: [value] for name, value in given.items()}
        return list(self.onepeace.encode(convert_to_numpy=True, **inputs))

    def compute_source_embeddings_with_retry(
        self, values: pa.Array | Sequence[RawInput], *args: object, **kwargs: object
    ) -> list[Vector]:
        """Return the vectors at once: LanceDB would wait minutes before it shows the error of a broken file."""
        return self.compute_source_embeddings(values)

    def compute_query_embeddings_with_retry(
        self, query: RawInput | Mapping[str, RawInput], *args: object, **kwargs: object
    ) -> list[Vector]:
        """Return the vector at once, likewise."""
        return self.compute_query_embeddings(query)
