"""What a server logs: the fields, one line for each record, levels, and nothing that is secret."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from aloma_py.cli.logs import LOGGERS, log_to_stderr, read_levels
from aloma_py.clock import current_run
from aloma_py.errors import InputError
from aloma_py.serve import telemetry

SECRET = "S3CRET-of-the-shop"


class Stderr:
    """What was logged there so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys, self._text = capsys, ""

    def getvalue(self) -> str:
        self._text += self._capsys.readouterr().err
        return self._text


@pytest.fixture(autouse=True)
def stderr(capsys: pytest.CaptureFixture[str]) -> Iterator[Stderr]:
    """The loggers are as before afterwards."""
    last = logging.lastResort
    assert last is not None
    loggers = [logging.getLogger("aloma_py"), *(logging.getLogger(f"aloma_py.{name}") for name in LOGGERS)]
    before = [(one, one.level, one.propagate, list(one.handlers)) for one in loggers]
    formatter, filters = last.formatter, list(last.filters)
    yield Stderr(capsys)
    for one, level, propagate, handlers in before:
        one.setLevel(level)
        one.propagate, one.handlers[:] = propagate, handlers
    last.formatter, last.filters[:] = formatter, filters


def lines(stderr: Stderr) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stderr.getvalue().splitlines()]


def log(name: str = "serve") -> logging.Logger:
    return logging.getLogger(f"aloma_py.{name}")


def test_the_fields_of_a_line_of_json(stderr: Stderr) -> None:
    log_to_stderr(None, as_json=True)
    log().warning(
        "task %s was lost", "t1",
        extra={"socket": "/x", "action": "lost", "step": "find", "task": "t1", "workspace": "w", "message_": None},
    )  # fmt: skip
    (line,) = lines(stderr)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert list(line.items()) == [
        ("level", "warning"), ("logger", "aloma_py.serve"), ("message", "task t1 was lost"), ("workspace", "w"),
        ("task", "t1"), ("step", "find"), ("action", "lost"), ("socket", "/x"),
    ]  # fmt: skip


def test_a_traceback_is_a_text(stderr: Stderr) -> None:
    log_to_stderr(None, as_json=True)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log().exception("it failed", stack_info=True)
    (line,) = lines(stderr)
    assert line["exc_info"].startswith("Traceback (most recent call last):\n")
    assert line["exc_info"].endswith("ValueError: two\nlines")
    assert "test_logs.py" in line["stack_info"]


FORGED = "x\n2026-01-01T00:00:00.000Z error: all is lost\r\n\x1b[2J\u2028\x85"


def test_each_record_is_one_line_of_json_whatever_is_in_it(stderr: Stderr) -> None:
    log_to_stderr(None, as_json=True)
    log().info("%s", FORGED, extra={"task": FORGED, "others": ["a", {"b": object}], "lone": "\ud800"})
    log("engine").info("after")
    first, second = lines(stderr)
    assert first["message"] == first["task"] == FORGED
    assert second["message"] == "after"
    assert stderr.getvalue().isascii()


def test_in_lines_for_people_no_text_can_pose_as_a_line_of_its_own(stderr: Stderr) -> None:
    log_to_stderr(None)
    log().info("%s", FORGED)
    try:
        raise ValueError(FORGED)
    except ValueError:
        log().exception("it failed")
    log().debug("not told")
    log().info("")
    found = stderr.getvalue().split("\n")
    begun = [line for line in found if line.startswith("20")]
    assert [line.split("Z ", 1)[1] for line in begun] == ["x", "error: it failed", ""]
    assert all(line.startswith("    ") for line in found if line not in begun and line)
    assert not {"\x1b", "\r", "\x85"} & set(stderr.getvalue())


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"{{'authorization': 'Basic {SECRET}='}}",
        f'"Authorization": "{SECRET}"',
        f"sent bearer {SECRET}, got 401",
        f"GET https://ada:{SECRET}@example.com/ failed",
        f"GET https://example.com/?token={SECRET} failed",
    ],
)
def test_credentials_are_hidden_wherever_they_are(stderr: Stderr, text: str, as_json: bool) -> None:
    log_to_stderr(None, as_json=as_json)
    log().warning("%s", text, extra={"detail": text})
    try:
        raise ValueError(text)
    except ValueError:
        log().exception("it failed")
    assert SECRET not in stderr.getvalue()
    shown = "example.com/?" if "?" in text else "(hidden: String)"
    assert stderr.getvalue().count(shown) == (3 if as_json else 2)


@pytest.mark.parametrize(
    "text",
    ["a basic error of the authorization server", "bearer of unhappy news", "user@host // a@b", "why?=x http://x/a"],
)
def test_ordinary_words_are_left(stderr: Stderr, text: str) -> None:
    log_to_stderr(None, as_json=True)
    log().warning(text)
    assert lines(stderr)[0]["message"] == text


@pytest.mark.parametrize("name", ["a_step", "aloma_py.serve"])
def test_what_a_run_logs_is_in_the_same_form_and_without_secrets(stderr: Stderr, name: str) -> None:
    class Run:
        def redact(self, text: str) -> str:
            return text.replace(SECRET, "(hidden)")

    log_to_stderr(None, as_json=True)
    token = current_run.set(Run())
    try:
        last = logging.lastResort
        assert last is not None
        handler = last if name == "a_step" else logging.getLogger("aloma_py").handlers[0]
        handler.handle(logging.LogRecord(name, logging.WARNING, "", 0, "%s\nis it", (SECRET,), None))
    finally:
        current_run.reset(token)
    (line,) = lines(stderr)
    assert (line["logger"], line["message"]) == (name, "(hidden)\nis it")


def test_the_trace_is_named_where_spans_are_written(stderr: Stderr, monkeypatch: pytest.MonkeyPatch) -> None:
    log_to_stderr(None, as_json=True)
    log().info("before", extra={"task": "task-1"})
    monkeypatch.setattr(telemetry, "_active", object())
    log().info("with", extra={"task": "task-1"})
    log().info("of no task")
    first, second, third = lines(stderr)
    assert second["trace_id"] == f"{telemetry.trace_id_of('task-1'):032x}"
    assert "trace_id" not in first and "trace_id" not in third


@pytest.mark.parametrize(
    ("flag", "setting", "told"),
    [
        (None, "", {"serve": "info", "access": "warning"}),
        (None, "info", {"serve": "info", "access": "warning"}),
        (None, "error", {"serve": "error", "access": "warning"}),
        (None, " DEBUG ", {"serve": "debug", "access": "debug"}),
        (None, "access=info", {"serve": "info", "access": "info"}),
        (None, "warning,access=info,engine=debug", {"serve": "warning", "access": "info", "engine": "debug"}),
        (None, "aloma_py.engine = debug", {"engine": "debug", "serve": "info"}),
        (logging.DEBUG, "warning", {"serve": "debug", "access": "debug"}),
        (logging.DEBUG, "access=error", {"serve": "debug", "access": "error"}),
        (logging.WARNING, "debug", {"serve": "warning", "access": "warning"}),
    ],
)
def test_levels(flag: int | None, setting: str, told: dict[str, str]) -> None:
    log_to_stderr(flag, setting)
    found = {name: logging.getLevelName(log(name).getEffectiveLevel()).lower() for name in told}
    assert found == told
    log_to_stderr(None)
    assert log("engine").getEffectiveLevel() == logging.INFO  # nothing is left of it


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("loud", "'loud' is no level"),
        ("inof", "did you mean"),
        ("access=", "'' is no level"),
        ("acess=info", "did you mean"),
        ("uvicorn=info", "'uvicorn' is no logger"),
    ],
)
def test_levels_that_there_are_not(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_levels(text)
    assert said in str(caught.value)
    assert str(caught.value).startswith("ALOMA_LOG_LEVEL: ")
