"""Embedding of large sets on Ray Data: the parts of a folder are embedded by actors, on one machine or a cluster.

The files are those of a single process, bit by bit; a call that was interrupted goes on, with Ray or without.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from onepeace_pl.embedding.embedder import EmbedderOptions, ItemEmbedder
from onepeace_pl.embedding.item import Item
from onepeace_pl.embedding.job import Progress, embed_part, missing_parts, writing
from onepeace_pl.embedding.parts import EmbeddingFolder, PartFacts
from onepeace_pl.errors import UserError
from onepeace_pl.hub import LoadingOptions
from onepeace_pl.utils.libraries import LibraryError

Block = dict[str, Any]
"""Columns of a batch of Ray Data."""


@dataclass(frozen=True)
class RaySettings:
    """What an actor makes its embedder of.

    Attributes:
        model_folder: Model folder, at the same place on all machines, or ``owner/name`` on the Hub.
        loading: Options of :meth:`~onepeace_pl.OnePeace.from_pretrained`.
        embedding: Options of :class:`~onepeace_pl.embedding.ItemEmbedder`.
    """

    model_folder: str
    loading: LoadingOptions
    embedding: EmbedderOptions


def embed_parts_on_ray(
    items: Iterable[Item],
    folder: EmbeddingFolder,
    settings: RaySettings,
    actors: int,
    num_gpus: float = 0,
    retry_failed: bool = False,
) -> Progress:
    """Embed items into a folder with Ray Data; parts that are there are kept.

    Without a running Ray, and without ``RAY_ADDRESS``, one is started on this machine. Items (paths, texts) are read
    here, all of those that are missing; files are read by the actors.

    Args:
        items: The items, in the same order in each call.
        folder: The folder, on storage that all machines share.
        settings: Model and options.
        actors: Number of actors, each with a model of its own.
        num_gpus: GPUs of an actor.
        retry_failed: Embed parts with failed items again.

    Raises:
        UserError: As of :func:`~onepeace_pl.embedding.job.embed_parts`.
        LibraryError: Ray is not installed.
    """
    if actors < 1:
        raise UserError(f"actors={actors} must be at least 1")
    try:
        import ray
        from ray.data import ActorPoolStrategy, DataContext, from_items
    except ModuleNotFoundError as error:
        raise LibraryError(f"embedding on Ray needs {error.name}: pip install 'onepeace-pl[ray]'") from error

    if os.path.isdir(settings.model_folder):  # actors may have another working directory
        settings = replace(settings, model_folder=os.path.abspath(settings.model_folder))
    folder = EmbeddingFolder(folder.path.absolute(), folder.part_size, folder.stamp)
    found = Progress()
    with writing(folder):
        parts = [
            {"number": number, "items": pickle.dumps(list(several))}
            for number, several in missing_parts(items, folder, found, retry_failed)
        ]
        if parts:
            _start(ray, actors)
            DataContext.get_current().enable_progress_bars = False
            embedded = from_items(parts, override_num_blocks=len(parts)).map_batches(
                _PartEmbedder,
                fn_constructor_args=(settings, folder),
                batch_size=1,
                compute=ActorPoolStrategy(size=min(actors, len(parts))),
                num_cpus=1,
                num_gpus=num_gpus,
            )
            for row in embedded.iter_rows():
                facts = pickle.loads(row["facts"])
                if isinstance(facts, Exception):
                    raise facts
                found.count(int(row["number"]), facts, kept=False)
        folder.list_failed(found.failed)
    return found


class _PartEmbedder:
    """Actor: a model that embeds one part after the other, and writes it."""

    def __init__(self, settings: RaySettings, folder: EmbeddingFolder) -> None:
        from onepeace_pl.hub import OnePeace

        model = OnePeace.from_pretrained(settings.model_folder, **settings.loading)
        self.embedder, self.folder = ItemEmbedder(model, **settings.embedding), folder

    def __call__(self, block: Block) -> Block:
        parts = zip(block["number"].tolist(), block["items"], strict=True)
        facts = [self._embed(number, pickle.loads(items)) for number, items in parts]
        return {"number": block["number"], "facts": [pickle.dumps(each) for each in facts]}

    def _embed(self, number: int, items: list[Item]) -> PartFacts | Exception:
        """Return what a user or the system has caused, too: of what is raised, Ray passes on the text alone."""
        try:
            return embed_part(number, items, self.embedder, self.folder)
        except (UserError, OSError) as error:
            return error


def _start(ray: Any, actors: int) -> None:
    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init()
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # a CPU more than actors: otherwise the tasks that feed them wait for ever
    ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, actors + 1),
        include_dashboard=False,
        log_to_driver=False,
    )
