"""Questions that only V8 can answer, asked by code that cannot wait: the functions inside of conditions.

Conditions are judged by plain functions. Where one of them needs JavaScript (a predicate, a bound computed from the
data, a regular expression that Python does not know), it notes its question in the :class:`Consultation` that is open
and answers with something for the moment; :func:`settle` has V8 answer all that was noted, and judges again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from aloma_py import jsontext
from aloma_py.javascript.program import Program

T = TypeVar("T")

MOST_ROUNDS: Final = 200
"""How often conditions are judged again at most: each round answers at least one question more."""


class ConditionFailed(Exception):
    """The code of a condition raised, or was stopped."""


class NotAnswered(Exception):
    """There is no answer yet."""


@dataclass(eq=False)
class Asker:
    """A step's condition as V8 knows it."""

    program: Program
    libraries: tuple[Program, ...] = ()
    stopped: int = 0  # how often its code had to be stopped; after three times it is not asked any more

    def ask(self, question: str, data: str = "{}") -> Any:
        """The answer to a question (its JSON text without the closing brace's comma; see ``judgeOne`` in the prelude).

        Raises :class:`NotAnswered`, and :class:`ConditionFailed` with the reason.
        """
        consultation = _open.get()
        if consultation is None:
            raise ConditionFailed("it is JavaScript, which is not at hand here")
        if self.stopped >= 3:
            raise ConditionFailed("its code had to be stopped three times, and is not asked any more")
        key = (self, question, data)
        answer = consultation.answers.get(key)
        if answer is None:
            consultation.waiting[key] = None
            raise NotAnswered
        if "error" in answer:
            raise ConditionFailed(answer["error"])
        return answer["value"]


Key = tuple[Asker, str, str]


@dataclass(slots=True)
class Consultation:
    """The questions and answers of one judgement."""

    answers: dict[Key, dict[str, Any]] = field(default_factory=dict)
    waiting: dict[Key, None] = field(default_factory=dict)


_open: ContextVar[Consultation | None] = ContextVar("consultation", default=None)

Judge = Callable[[Asker, str, Sequence[str]], Awaitable[list[dict[str, Any]]]]
"""``(asker, data as JSON text, questions)`` -> the answers, in that order."""


async def settle(work: Callable[[], T], judge: Judge) -> T:
    """What ``work`` gives when all that it asks of V8 is answered. It is called until then, so it must be pure."""
    consultation = Consultation()
    for _ in range(MOST_ROUNDS):
        token = _open.set(consultation)
        try:
            result = work()
        finally:
            _open.reset(token)
        if not consultation.waiting:
            return result
        groups: dict[tuple[Asker, str], list[str]] = {}
        for asker, question, data in consultation.waiting:
            groups.setdefault((asker, data), []).append(question)
        consultation.waiting.clear()
        for (asker, data), questions in groups.items():
            for question, answer in zip(questions, await judge(asker, data, questions), strict=True):
                consultation.answers[asker, question, data] = answer
                if "too much time" in answer.get("error", ""):
                    asker.stopped += 1
    raise ConditionFailed(f"conditions asked V8 more than {MOST_ROUNDS} times for one match")


def question(**parts: Any) -> str:
    """The text of a question."""
    return jsontext.dumps(parts)
