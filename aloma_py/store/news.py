"""Telling those who wait for it that something in a store was changed: in this process, nothing of it is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary, WeakMethod

from aloma_py.store.sqlite import SQLiteStore


class News:
    """Of one kind of thing. Whoever plans by what is in the store (when the next is due) plans anew when it comes."""

    def __init__(self) -> None:
        self._told: WeakKeyDictionary[SQLiteStore, list[WeakMethod[Callable[[], None]]]] = WeakKeyDictionary()

    def listen(self, store: SQLiteStore, told: Callable[[], None]) -> None:
        """Have ``told``, a method, called whenever there is news of ``store``, for as long as both live."""
        self._told.setdefault(store, []).append(WeakMethod(told))

    def tell(self, store: SQLiteStore) -> None:
        """Say that there is news."""
        for told in self._told.get(store, ()):
            method = told()
            if method is not None:
                method()


schedule_news: Final = News()
"""Schedules, or the workspaces that they are in, have been changed."""

source_news: Final = News()
"""A source is to be looked at at another time than before, or the workspace that it is of was changed."""

notification_news: Final = News()
"""Groups were changed, or a message is to be tried again."""
