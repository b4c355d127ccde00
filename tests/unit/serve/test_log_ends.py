"""What the log says of tasks that have ended."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from aloma_py.intake.tasks import new_task
from aloma_py.models import Entry, ErrorInfo, TaskState
from aloma_py.serve.loop import log_ends


def said(caplog: pytest.LogCaptureFixture, state: TaskState, *errors: ErrorInfo | None) -> str:
    task = replace(new_task("default", "order 7", {}, now=0), state=state, reason="unhandled error in charge")
    entries = [Entry(n, "run", 0, 0, "charge", wave=n, error=error) for n, error in enumerate(errors, 1)]
    with caplog.at_level(logging.DEBUG, "aloma_py.serve"):
        log_ends(task, entries)
    return caplog.records[-1].getMessage().removeprefix(f"task {task.id} (order 7): ")


def test_the_error_that_ended_a_task_is_said_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    ended = "error: unhandled error in charge"
    first, last = ErrorInfo("KeyError", "'a'"), ErrorInfo("ValueError", "\ncard declined\nask the bank")
    assert said(caplog, TaskState.ERROR, first, last, None) == f"{ended}: ValueError: card declined"
    assert said(caplog, TaskState.ERROR, ErrorInfo("Timeout", "")) == f"{ended}: Timeout"
    assert said(caplog, TaskState.ERROR, ErrorInfo("Error", "x" * 9_999)).endswith("xxx…")
    assert len(caplog.records[-1].getMessage()) < 500
    assert said(caplog, TaskState.ERROR, None) == ended


def test_an_error_that_was_handled_is_not_said(caplog: pytest.LogCaptureFixture) -> None:
    handled = ErrorInfo("KeyError", "'a'")
    assert said(caplog, TaskState.DONE, handled) == "done: unhandled error in charge"
    assert said(caplog, TaskState.ATTENTION, handled) == "attention: unhandled error in charge"


def test_a_task_that_goes_on_is_not_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "aloma_py.serve"):
        log_ends(replace(new_task("default", "order 7", {}, now=0), state=TaskState.WAITING), [])
    assert not caplog.records
