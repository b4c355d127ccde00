"""What a server logs to stderr: lines for people, or JSON lines for programs."""

from __future__ import annotations

import datetime
import json
import logging
import re
import sys
from typing import Final

from aloma_py.cli.output import clean
from aloma_py.clock import current_run
from aloma_py.errors import InputError, suggest
from aloma_py.run.context import RunContext
from aloma_py.run.redaction import HIDDEN, HideSecrets
from aloma_py.serve.telemetry import shown_trace_id, without_queries

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

LOGGERS: Final = ("access", "engine", "operations", "schedules", "scheduler", "serve", "store", "telemetry")
"""The loggers below ``aloma_py`` that a level can be given to."""

FIRST: Final = ("workspace", "task", "step", "action", "request_id", "trace_id")
"""What is said beside the text, in this order, before all else."""

_CREDENTIALS: Final = re.compile(
    r"""(?i)(\bauthorization["']?\s*[:=,]\s*["']?(?:\w+\s+)?|\b(?:bearer|basic)\s+(?=\S*[\d_.=-]))[^\s'",;]{6,}"""
)
_USER: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def log_to_stderr(level: int | None, levels: str = "", *, as_json: bool = False) -> None:
    """Log there from now on.

    ``levels`` is a level, or ``logger=level``, or several of them with commas; ``level``, where it is given, counts
    before the one that is of no logger. Raises :class:`~aloma_py.errors.InputError` for what ``levels`` cannot say.
    """
    common, each = read_levels(levels)
    common = level if level is not None else common if common is not None else logging.INFO
    formatter = JsonLines() if as_json else Lines()
    handler = logging.StreamHandler(sys.stderr)
    for one in (handler, logging.lastResort):
        if one is not None:  # what libraries say, and a step with Python's own logging, goes to the last resort
            one.setFormatter(formatter)
            one.filters[:] = [HideSecrets(), About()]
    root = logging.getLogger("aloma_py")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(common)
    if common > logging.DEBUG:
        each.setdefault("access", logging.WARNING)  # a line for each request is too much, unless it is asked for
    for name in LOGGERS:
        logging.getLogger(f"aloma_py.{name}").setLevel(each.get(name, logging.NOTSET))


def read_levels(text: str) -> tuple[int | None, dict[str, int]]:
    """The level for all, where there is one, and those of single loggers.

    >>> read_levels("warning, access=info")
    (30, {'access': 20})
    """
    common, each = None, {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, word = map(str.strip, part.rpartition("="))
        if word.lower() not in LEVELS:
            raise InputError(f"ALOMA_LOG_LEVEL: {word!r} is no level{suggest(word, LEVELS)}; {', '.join(LEVELS)} are")
        if not equals:
            common = LEVELS[word.lower()]
        elif name.removeprefix("aloma_py.") in LOGGERS:
            each[name.removeprefix("aloma_py.")] = LEVELS[word.lower()]
        else:
            raise InputError(
                f"ALOMA_LOG_LEVEL: {name!r} is no logger{suggest(name, LOGGERS)}; {', '.join(LOGGERS)} are"
            )
    return common, each


class About(logging.Filter):
    """Adds what a line is about: the run whose code says it, the request that is answered, the trace of the task."""

    def filter(self, record: logging.LogRecord) -> bool:
        run = current_run.get()
        if isinstance(run, RunContext):
            record.workspace, record.task, record.step = run.task.workspace, run.task.id, run.step.name
        # Where nobody is served over HTTP the web side is not loaded, and there are no requests.
        requests = sys.modules.get("aloma_py.serve.web.request_log")
        request = requests.request_id() if requests is not None else None
        if request is not None:
            record.request_id = request
        task = getattr(record, "task", None)
        trace = shown_trace_id(task) if isinstance(task, str) else None
        if trace is not None:
            record.trace_id = trace
        return True


class Lines(logging.Formatter):
    """``2026-01-01T12:00:00.000Z warning: text``; the level only where it is not info.

    What goes on over several lines is indented: each line that begins with a time is one that was logged.
    """

    def format(self, record: logging.LogRecord) -> str:
        label = "" if record.levelno in (logging.INFO, logging.DEBUG) else f"{record.levelname.lower()}: "
        text = record.getMessage()
        if record.exc_info:
            text += f"\n{self.formatException(record.exc_info)}"
        return f"{_time(record)} {label}" + "\n    ".join(clean(_hidden(text)).split("\n"))


class JsonLines(logging.Formatter):
    """One JSON object a line: ``{time, level, logger, message}``, then :data:`FIRST` and whatever is said beside.

    A traceback is the text ``exc_info``.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {"time": _time(record), "level": record.levelname.lower(), "logger": record.name,
                                   "message": _hidden(record.getMessage())}  # fmt: skip
        said = {name: value for name, value in vars(record).items() if name not in _OWN and value is not None}
        for name in (*(name for name in FIRST if name in said), *said):
            line.setdefault(name, _hidden(said[name]) if isinstance(said[name], str) else said[name])
        if record.exc_info:
            line["exc_info"] = _hidden(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack_info"] = record.stack_info
        return json.dumps(line, default=str)


def _hidden(text: str) -> str:
    """A text without credentials that are such by their form, whoever put them there."""
    return _USER.sub(HIDDEN, _CREDENTIALS.sub(rf"\1{HIDDEN}", without_queries(text)))


def _time(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
