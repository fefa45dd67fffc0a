"""Sources: TSV tables, CSV and JSON-lines manifests, folders, tar shards, and selections and combinations of them."""

from onepeace_pl.data.sources.folder import FolderSource
from onepeace_pl.data.sources.joined import JoinedSource
from onepeace_pl.data.sources.manifest import ManifestSource
from onepeace_pl.data.sources.merged import MergedSource
from onepeace_pl.data.sources.part import PartSource
from onepeace_pl.data.sources.tar import TarSource
from onepeace_pl.data.sources.tsv import AudioTextTsv, AudioTsv, ImageTextTsv, TsvSource
from onepeace_pl.data.sources.view import SourceView

__all__ = [
    "AudioTextTsv",
    "AudioTsv",
    "FolderSource",
    "ImageTextTsv",
    "JoinedSource",
    "ManifestSource",
    "MergedSource",
    "PartSource",
    "SourceView",
    "TarSource",
    "TsvSource",
]
