"""The call broker: every connector call of every run goes through here.

A call that returned is kept, on disk, before the step's code gets the answer. When the run is started again after a
crash, the same call (matched by step, connector, method, arguments and position) gets the kept answer and is not made
again; where the service had sent a secret back, the kept answer has it hidden. The service is handed an idempotency
key, which is the same for the same call of the same run, whatever happens in between (SPEC §3, After a crash).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from aloma_py.clock import Clock
from aloma_py.connect.connector import CallContext, Registry
from aloma_py.errors import CallError, InputError
from aloma_py.models import Call, Json
from aloma_py.run.plain import plain

RecordCall = Callable[[str, Call], Awaitable[None]]

TraceHeaders = Callable[[str, str, int], Mapping[str, str]]
"""Gives the headers that carry the trace of a task's call: of the task's id, the call's key and the attempt."""

NO_HEADERS: Final[Mapping[str, str]] = {}


@dataclass(slots=True)
class RunCalls:
    """The calls of one attempt of one run, and the answers that are kept from before a crash.

    ``made`` counts calls that are the same but for their position.
    """

    task_id: str
    step: str
    ordinal: int
    attempt: int
    kept: dict[tuple[str, str, str, int], Call] = field(default_factory=dict)
    made: dict[tuple[str, str, str], int] = field(default_factory=dict)
    redact: Callable[[Json], Json] = lambda value: value  # hides secrets in what is recorded
    broken: InputError | None = None  # fails the run even where its code catches it

    def keep(self, calls: Iterable[Call]) -> None:
        """Take the recorded calls that belong to this attempt."""
        for call in calls:
            if (call.step, call.ordinal, call.attempt) == (self.step, self.ordinal, self.attempt):
                self.kept[call.connector, call.method, call.digest, call.position] = call


class Broker:
    """Makes the calls, records them, and gives kept answers."""

    def __init__(self, connectors: Registry, clock: Clock, record: RecordCall) -> None:
        self.connectors = connectors
        self._clock = clock
        self._record = record
        self.trace_headers: TraceHeaders | None = None

    async def call(self, run: RunCalls, namespace: str, method: str, arguments: Json) -> Json:
        """The connector's answer, as JSON. Raises :class:`CallError` with the namespace and method in its text."""
        connector = self.connectors.find(namespace, method)
        arguments = plain(arguments)
        digest = fingerprint(arguments)
        position = run.made.get((namespace, method, digest), 0)
        run.made[namespace, method, digest] = position + 1
        noted = run.redact(method)  # some connectors take any name
        kept = run.kept.get((namespace, noted, digest, position))
        if kept is not None:
            return _again(kept)
        key = fingerprint([run.task_id, run.step, run.ordinal, namespace, method, digest, position])
        started = self._clock.now()
        failure: Exception | None = None
        answer: Json
        headers = NO_HEADERS if self.trace_headers is None else self.trace_headers(run.task_id, key, run.attempt)
        try:
            context = CallContext(run.task_id, run.step, key, self._clock, headers)
            answer = plain(await connector.call(method, arguments, context))
        except InputError as error:
            run.broken = error  # not the service's failure but the workspace's: a scenario without a rule, say
            raise
        except Exception as error:
            failure = error if isinstance(error, CallError) else _as_call_error(namespace, method, error)
            answer = {"message": str(failure), "type": type(error).__name__, "status": failure.status,
                      "kinds": [kind.__name__ for kind in type(error).__mro__]}  # fmt: skip
        if connector.recorded:
            outcome: Literal["returned", "raised"] = "raised" if failure else "returned"
            await self._record(
                run.task_id,
                Call(run.step, run.ordinal, run.attempt, namespace, noted, digest, position, run.redact(arguments),
                     outcome, run.redact(answer), key, started, self._clock.now()),
            )  # fmt: skip
        if failure is not None:
            raise failure
        return answer


def _again(kept: Call) -> Json:
    if kept.outcome == "raised":
        raise CallError(kept.answer["message"], kept.answer.get("status"), kept.answer.get("kinds", ()))
    return kept.answer


def _as_call_error(namespace: str, method: str, error: Exception) -> CallError:
    status = getattr(error, "status", None)
    text = str(error) or type(error).__name__
    wrapped = CallError(f"{namespace}.{method}: {text}", status if isinstance(status, int) else None)
    wrapped.__cause__ = error
    return wrapped


def fingerprint(value: Json) -> str:
    """A short stable digest of a JSON value; the order of members does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
