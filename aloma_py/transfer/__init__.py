"""A workspace as one file: what is in it, how it is written, and how it is read without being believed.

The file is a zip. ``manifest.json`` says what the other members are, with a SHA-256 of each; those are JSON documents,
the texts of steps and libraries as their files, and, one JSON object a line, tasks with all that is around them.
Nothing here knows of a store.
"""

from aloma_py.transfer.layout import FORMAT, ROWS, Rows
from aloma_py.transfer.manifest import Manifest
from aloma_py.transfer.reading import Archive
from aloma_py.transfer.sealing import Sealer, new_sealer, open_sealer
from aloma_py.transfer.writing import ArchiveWriter

__all__ = ["FORMAT", "ROWS", "Archive", "ArchiveWriter", "Manifest", "Rows", "Sealer", "new_sealer", "open_sealer"]
