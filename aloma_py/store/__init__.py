"""Where tasks are kept: the protocol that the engine asks, and SQLite behind it."""

from aloma_py.store.protocol import Store, WorkspaceStore
from aloma_py.store.sqlite import SQLiteStore

__all__ = ["SQLiteStore", "Store", "WorkspaceStore"]
