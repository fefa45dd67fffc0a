"""Sources: rows of official TSV files, of a user's own manifests, and of plain folders."""

from onepeace_pl.data.sources.folder import FolderSource
from onepeace_pl.data.sources.manifest import ManifestSource
from onepeace_pl.data.sources.tsv import AudioTextTsv, ImageTextTsv, TsvSource

__all__ = ["AudioTextTsv", "FolderSource", "ImageTextTsv", "ManifestSource", "TsvSource"]
