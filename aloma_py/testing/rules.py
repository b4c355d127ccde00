"""What fake connectors answer: rules, as scenario files and Python tests write them.

A rule says which call it is for (``call``, and ``when``: a condition on the arguments) and what comes of it:
``return``, ``error``, or a ``sequence`` of these. ``delay`` lets the answer take its time, ``times`` uses the rule up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aloma_py.conditions import Condition, compile_condition
from aloma_py.durations import parse_duration
from aloma_py.errors import ConditionError, InputError
from aloma_py.models import Json, Millis
from aloma_py.run.runlog import as_text
from aloma_py.testing.yamlfile import Item, item_of, read_yaml

_ANSWER_KEYS: Final = ("return", "error", "delay")
RULE_KEYS: Final = ("call", "when", "sequence", "times", *_ANSWER_KEYS)
"""What a rule may say."""

_STATUS: Final = re.compile(r"([1-5]\d\d)\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call gets: ``value``, or an error with the text ``error``; after ``delay`` on the scenario's clock."""

    value: Json = None
    error: str | None = None
    status: int | None = None  # of the error: three digits at the beginning of its text
    delay: Millis = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """What a call gets. It fits the calls of ``namespace.method`` whose arguments match ``when``."""

    namespace: str
    method: str
    answers: tuple[Answer, ...]  # one after another; the last one again and again
    when: Condition | None = None  # on ``{"when": arguments}``
    times: int | None = None  # how many calls it answers before it is spent
    shown: str = ""  # as it was written, short: for messages

    @property
    def call(self) -> str:
        return call_name(self.namespace, self.method)

    def fits(self, method: str, arguments: Json) -> bool:
        return method == self.method and (self.when is None or self.when.matches({"when": arguments}))


def call_name(namespace: str, method: str) -> str:
    """``crm.find``; ``fetch`` for a connector that is called itself."""
    return namespace if method == namespace else f"{namespace}.{method}"


def split_call(text: str) -> tuple[str, str]:
    """The namespace and method of ``crm.find``, ``github.repos.list``, ``fetch``."""
    namespace, _, method = text.partition(".")
    return namespace, method or namespace


def read_rules(path: str | Path) -> list[Rule]:
    """The rules in a YAML or JSON file: a list of them, or a mapping with ``connectors``.

    Raises :class:`~aloma_py.errors.LoadError` with file and line for what is no rule.
    """
    item = read_yaml(Path(path))
    if isinstance(item.value, dict):
        item.mapping(known=("connectors",), required=("connectors",))
        item = item["connectors"]
    return parse_rules(item)


def make_rules(rules: Sequence[Rule | dict[str, Any]]) -> list[Rule]:
    """Rules from Python: dictionaries as in a scenario file, or rules, which stay as they are."""
    return [rule if isinstance(rule, Rule) else _rule(item_of(rule, f"rule {n}")) for n, rule in enumerate(rules, 1)]


def parse_rules(item: Item) -> list[Rule]:
    """The rules in a list. Raises :class:`~aloma_py.errors.LoadError` with the place of what is none."""
    return [_rule(one) for one in item.items()]


def _rule(item: Item) -> Rule:
    members = item.mapping(known=RULE_KEYS, required=("call",))
    call = members["call"].text()
    if not all(call.split(".")):
        raise members["call"].error(f"{call!r} is no call; write it like crm.find, or fetch")
    namespace, method = split_call(call)
    if "sequence" in members:
        for key in ("return", "error"):
            if key in members:
                raise item.error(f"a rule has either {key!r} or 'sequence', not both")
        answers = tuple(_answer(one, item) for one in members["sequence"].items())
        if not answers:
            raise members["sequence"].error("a sequence needs at least one answer")
    else:
        answers = (_answer(item, item),)
    times = members["times"].count() if "times" in members else None
    when = members.get("when")
    shown = call if when is None else f"{call} when {as_text(when.value)}"
    return Rule(
        namespace,
        method,
        answers,
        when=None if when is None else parse_condition(when, "when"),
        times=times,
        shown=shown if len(shown) <= 120 else f"{shown[:119]}…",
    )


def _answer(item: Item, rule: Item) -> Answer:
    members = item.mapping(known=RULE_KEYS if item is rule else _ANSWER_KEYS)
    if "return" in members and "error" in members:
        raise item.error("an answer has either 'return' or 'error', not both")
    delay = members.get("delay") or rule.get("delay")
    wait = 0 if delay is None else parse_delay(delay)
    if "error" not in members:
        return Answer(members["return"].value if "return" in members else None, delay=wait)
    text, status = _error(members["error"])
    return Answer(error=text, status=status, delay=wait)


def _error(item: Item) -> tuple[str, int | None]:
    """An error's text, and the status that it begins with."""
    value = item.value
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else item.text()
    found = _STATUS.match(text)
    return text, int(found[1]) if found else None


def parse_delay(item: Item) -> Millis:
    """A duration: milliseconds, or text such as ``"24h"``."""
    try:
        return parse_duration(item.value, "this")
    except InputError as error:
        raise item.error(str(error)) from None


def parse_condition(item: Item, name: str | None = None) -> Condition:
    """The condition that an item is; on ``{name: value}`` where it is about a value that may be no object."""
    try:
        source = item.value if name is None else {name: item.value}
        return compile_condition(source, json_types=True)
    except ConditionError as error:
        inside = error.path if name is None else error.path.removeprefix(name).lstrip(".")
        place = f" at {inside}" if inside else ""
        raise item.error(f"this condition cannot be read{place}: {error.bare}") from None
