"""Connectors that answer by rules, for scenarios and tests: nothing leaves the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from aloma_py.changes import copy_json
from aloma_py.connect.connector import CallContext, Connector, Registry
from aloma_py.errors import CallError, InputError
from aloma_py.models import Json
from aloma_py.plugins import connector_registry, load_plugins
from aloma_py.run.runlog import as_text
from aloma_py.testing.rules import Answer, Rule, call_name, make_rules

_ENVELOPE: Final = frozenset({"status", "ok", "statusText", "headers", "body"})
_LONGEST: Final = 200


class UnexpectedCall(InputError):
    """A step made a call that fits no rule. It fails the run, even where the step's code catches it."""


@dataclass(slots=True)
class FakeCall:
    """A call that was made, by which step of which task, and what came of it."""

    connector: str
    method: str
    arguments: Json
    step: str
    task_id: str
    outcome: Literal["pending", "returned", "raised", "unexpected"] = "pending"  # it stays pending if it is dropped
    answer: Json = None  # the answer, or the error's text

    @property
    def name(self) -> str:
        """``crm.find``; ``fetch``."""
        return call_name(self.connector, self.method)

    def to_json(self) -> dict[str, Json]:
        return {
            "connector": self.connector,
            "method": self.method,
            "arguments": self.arguments,
            "outcome": self.outcome,
            "answer": self.answer,
            "step": self.step,
        }


class FakeConnectors:
    """The connectors that ``rules`` name, and the built-in ones; ``calls`` are those that were made, in order.

    ``rules`` are :class:`~aloma_py.testing.rules.Rule` or dictionaries as in a scenario file. The first rule that fits
    a call answers it; one that fits none raises :class:`UnexpectedCall`. A rule for a method of a built-in connector
    replaces it. With ``strict_builtins`` a ``fetch`` without a rule is unexpected too, otherwise it is a real request;
    ``utils.sleep`` waits on the engine's clock. Raises :class:`~aloma_py.errors.LoadError` for what is no rule.

    ::

        fakes = FakeConnectors([{"call": "crm.find", "when": {"id": 7}, "return": {"name": "Ada"}}])
        outcome = await workspace.run({"id": 7}, connectors=fakes.registry())
        assert fakes.count("crm.find") == 1
    """

    def __init__(self, rules: Sequence[Rule | dict[str, Any]] = (), *, strict_builtins: bool = True) -> None:
        self.rules = tuple(make_rules(rules))
        self.strict_builtins = strict_builtins
        self.calls: list[FakeCall] = []
        self._answered: dict[int, int] = {}  # how many calls each rule has answered, by its place

    def registry(self) -> Registry:
        """The connectors, for ``Workspace.run(connectors=…)``, or for an engine."""
        manager, _ = load_plugins(installed=False)
        builtin = {connector.namespace: connector for connector in connector_registry(manager)}
        names = dict.fromkeys([*builtin, *(rule.namespace for rule in self.rules)])
        return Registry(FakeConnector(self, name, builtin.get(name)) for name in names)

    def count(self, call: str) -> int:
        """How many calls of ``crm.find`` were made."""
        return sum(made.name == call for made in self.calls)

    def unexpected(self) -> list[FakeCall]:
        """The calls that fitted no rule."""
        return [made for made in self.calls if made.outcome == "unexpected"]

    def has_rule(self, namespace: str, method: str) -> bool:
        return any((rule.namespace, rule.method) == (namespace, method) for rule in self.rules)

    def answer(self, namespace: str, method: str, arguments: Json) -> Answer | None:
        """The answer of the first rule that fits and is not spent, or ``None``."""
        for n, rule in enumerate(self.rules):
            used = self._answered.get(n, 0)
            if rule.namespace != namespace or (rule.times is not None and used >= rule.times):
                continue
            if rule.fits(method, arguments):
                self._answered[n] = used + 1
                return rule.answers[min(used, len(rule.answers) - 1)]
        return None

    def unexpected_message(self, namespace: str, method: str, arguments: Json) -> str:
        """What was called, with what, and which rules there are."""
        text = f"no rule fits the call {call_name(namespace, method)}({_short(arguments)})"
        rules = [rule for rule in self.rules if rule.namespace == namespace]
        if not rules:
            return f"{text}; there are no rules for {namespace!r}"
        listed = ", ".join(
            rule.shown + (" (spent)" if self._is_spent(n) else "")
            for n, rule in enumerate(self.rules)
            if rule.namespace == namespace
        )
        return f"{text}; the rules for {namespace!r}: {listed}"

    def _is_spent(self, n: int) -> bool:
        times = self.rules[n].times
        return times is not None and self._answered.get(n, 0) >= times


class FakeConnector:
    """One connector of :class:`FakeConnectors`; ``real`` is the built-in one of its name."""

    methods: tuple[str, ...] | None = None  # any name: one without a rule is told by :class:`UnexpectedCall`

    def __init__(self, fakes: FakeConnectors, namespace: str, real: Connector | None) -> None:
        self._fakes = fakes
        self._real = real
        self.namespace = namespace
        self.recorded = real.recorded if real else True
        called_itself = fakes.has_rule(namespace, namespace)
        self.default = real.default if real and not called_itself else namespace if called_itself else None

    async def call(self, method: str, arguments: Json, context: CallContext) -> Json:
        made = FakeCall(self.namespace, method, arguments, context.step, context.task_id)
        self._fakes.calls.append(made)
        try:
            made.answer = await self._answer(method, arguments, context)
        except Exception as error:
            made.outcome = "unexpected" if isinstance(error, UnexpectedCall) else "raised"
            made.answer = str(error)
            raise
        made.outcome = "returned"
        return made.answer

    async def _answer(self, method: str, arguments: Json, context: CallContext) -> Json:
        found = self._fakes.answer(self.namespace, method, arguments)
        if found is None:
            if self._real is not None and self._stays_real(method):
                Registry([self._real]).find(self.namespace, method)  # raises where it has no such method
                return await self._real.call(method, arguments, context)
            raise UnexpectedCall(self._fakes.unexpected_message(self.namespace, method, arguments))
        if found.delay:
            await context.clock.sleep_until(context.clock.now() + found.delay)
        if found.error is not None:
            raise CallError(found.error, found.status)
        answer = copy_json(found.value)
        return _fetched(answer, arguments) if self.namespace == "fetch" else answer

    def _stays_real(self, method: str) -> bool:
        if self._fakes.has_rule(self.namespace, method):
            return False
        return self.namespace == "utils" or not self._fakes.strict_builtins


def _fetched(answer: Json, arguments: Json) -> Json:
    """What a real ``fetch`` would have given: the members that a rule left out are filled in."""
    answer = {} if answer is None else answer
    if not isinstance(answer, dict) or not answer.keys() <= _ENVELOPE:
        return answer
    status = answer.get("status", 200 if answer.get("ok", True) else 500)
    if not isinstance(status, int):
        return answer  # no envelope after all, but a body that has such a member
    if isinstance(arguments, dict) and arguments.get("bodyOnly"):
        return answer.get("body")
    return {"status": status, "ok": 200 <= status < 300, "statusText": "", "headers": {}, "body": None, **answer}


def _short(value: Json) -> str:
    text = as_text(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


__all__ = ["FakeCall", "FakeConnector", "FakeConnectors", "UnexpectedCall"]
