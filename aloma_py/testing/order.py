"""Which steps a scenario expects to run, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from aloma_py.errors import suggest
from aloma_py.outcome import Outcome
from aloma_py.testing.yamlfile import Item

ORDER_KEYS: Final = ("any_order", "before", "first", "last", "not_run", "counts")
"""What ``steps`` may say where it is no list."""


def first_attempts(outcome: Outcome) -> list[str]:
    """The names of the runs in order; one that was retried counts once, where it began."""
    return [entry.step for entry in outcome.runs if entry.step is not None and entry.attempt == 1]


@dataclass(frozen=True, slots=True)
class Order:
    """What is expected of the runs; what is ``None`` or empty is free.

    A run that was tried again may be written once, or once for each attempt: in ``exactly``, ``any_order`` and
    ``counts`` either will do.
    """

    exactly: tuple[str, ...] | None = None
    any_order: tuple[str, ...] | None = None
    before: tuple[tuple[str, str], ...] = ()  # the first run of one, before the first run of the other
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()

    def failures(self, outcome: Outcome, known: Collection[str]) -> list[str]:
        """A sentence for each thing that is not as expected. ``known`` are the names of the workspace's steps."""
        unknown = [name for name in self._names() if name not in known]
        if unknown:
            return [f"steps: there is no step {name!r}{suggest(name, known)}" for name in unknown]
        return list(self._failures(first_attempts(outcome), outcome.steps))

    def _names(self) -> list[str]:
        pairs = (name for pair in self.before for name in pair)
        counted = (name for name, _ in self.counts)
        listed = (self.exactly or (), self.any_order or (), self.first, self.last, self.not_run, pairs, counted)
        return list(dict.fromkeys(name for names in listed for name in names))

    def _failures(self, runs: list[str], attempts: list[str]) -> Iterator[str]:
        ran = f"but they ran {_arrows(runs, attempts)}"
        if self.exactly is not None and list(self.exactly) not in (runs, attempts):
            yield f"steps: expected {' → '.join(self.exactly) or 'none'}, {ran}"
        if self.any_order is not None and Counter(self.any_order) not in (Counter(runs), Counter(attempts)):
            yield f"steps: expected {', '.join(self.any_order) or 'none'} in any order, {ran}"
        for one, other in self.before:
            if one not in runs or other not in runs:
                missing = " and ".join(repr(name) for name in (one, other) if name not in runs)
                yield f"steps: expected {one!r} before {other!r}, but {missing} did not run"
            elif runs.index(one) >= runs.index(other):
                yield f"steps: expected {one!r} before {other!r}, {ran}"
        if self.first and tuple(runs[: len(self.first)]) != self.first:
            yield f"steps: expected {' → '.join(self.first)} first, {ran}"
        if self.last and tuple(runs[-len(self.last) :]) != self.last:
            yield f"steps: expected {' → '.join(self.last)} last, {ran}"
        for name in self.not_run:
            if name in runs:
                yield f"steps: expected that {name!r} does not run, but it ran {_times(runs.count(name))}"
        for name, count in self.counts:
            if count not in (runs.count(name), attempts.count(name)):
                made = _times(runs.count(name)) if name in runs else "not at all"
                tries = f" ({attempts.count(name)} attempts)" if attempts.count(name) != runs.count(name) else ""
                yield f"steps: expected that {name!r} runs {_times(count)}, but it ran {made}{tries}"


def _arrows(runs: list[str], attempts: list[str]) -> str:
    text = " → ".join(runs) or "none"
    return text if runs == attempts else f"{text} (with retries: {' → '.join(attempts)})"


def _times(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count} times"


def parse_order(item: Item) -> Order:
    """What ``steps`` says: a list, or a mapping."""
    if not isinstance(item.value, dict):
        return Order(exactly=item.texts())
    members = item.mapping(known=ORDER_KEYS)

    def texts(key: str) -> tuple[str, ...]:
        return members[key].texts() if key in members else ()

    counts = members["counts"].mapping() if "counts" in members else {}
    return Order(
        any_order=texts("any_order") if "any_order" in members else None,
        before=tuple(_pairs(members["before"])) if "before" in members else (),
        first=texts("first"),
        last=texts("last"),
        not_run=texts("not_run"),
        counts=tuple((name, count.count()) for name, count in counts.items()),
    )


def _pairs(item: Item) -> Iterator[tuple[str, str]]:
    """``[[a, b], [b, c]]``, ``[a, b]``, ``{a: b}`` or ``{a: [b, c]}``; a longer list is a chain."""
    if isinstance(item.value, dict):
        for one, others in item.mapping().items():
            yield from ((one, other) for other in others.texts())
        return
    elements = list(item.items())
    for chain in [item] if elements and all(isinstance(one.value, str) for one in elements) else elements:
        names = chain.texts()
        if len(names) < 2:
            raise chain.error("two steps were expected, the one that runs before and the one that runs after")
        yield from pairwise(names)
