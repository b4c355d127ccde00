"""Telling those who plan by what is in a store that it was changed."""

from __future__ import annotations

import gc
import weakref

import pytest

from aloma_py.store.news import News
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio


class Planner:
    def __init__(self, store: SQLiteStore) -> None:
        self.store = store
        self.told = 0

    def plan(self) -> None:
        self.told += 1


async def test_news_of_a_store_come_to_those_who_listen_to_it() -> None:
    news = News()
    async with SQLiteStore(":memory:") as one, SQLiteStore(":memory:") as other:
        first, second, elsewhere = Planner(one), Planner(one), Planner(other)
        for planner in (first, second, elsewhere):
            news.listen(planner.store, planner.plan)
        news.tell(one)
        assert (first.told, second.told, elsewhere.told) == (1, 1, 0)


async def test_whoever_listens_is_not_kept_and_neither_is_the_store() -> None:
    news = News()
    async with SQLiteStore(":memory:") as store:
        news.listen(store, Planner(store).plan)
        gc.collect()
        news.tell(store)  # nobody is left
    gone = weakref.ref(store)
    del store
    gc.collect()
    assert gone() is None
