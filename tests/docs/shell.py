"""A shell in which the commands of a page are typed, and a look at what they print."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 40.0  # seconds for a command, however busy the machine is
GLANCE = 0.02  # seconds between two looks at what a command that goes on has printed


class Shell:
    """One bash for the blocks of a page: folder, variables and background jobs last from block to block."""

    def __init__(self, folder: Path, notes: Path, environment: Mapping[str, str]) -> None:
        """``folder`` is where it begins; what commands print is kept in files in ``notes``."""
        self._notes = notes
        self._count = 0
        self._jobs: dict[int, Path] = {}
        self._newest = 0
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=folder, env=environment, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, command: str, typed: str = "") -> tuple[int, str]:
        """The command's exit status, and what it printed, errors too. ``typed`` is what it reads.

        A server in the background is ready, anything else there has printed a line, or it has ended, when this returns.
        """
        printed = self._begin(command, typed)
        status, job = self._ask('"$status" "${!:-0}"')
        if job != self._newest:
            self._newest, self._jobs[job] = job, printed
            ready = "serving workspace" if re.search(r"\b(serve|dev)\b", command) else "\n"
            self._until(lambda: ready in _text(printed) or not self._runs(job))
        return status, _text(printed)

    def more(self, enough: Callable[[str], bool]) -> str:
        """What the newest job in the background has printed, when that is enough, or it has ended."""
        printed = self._jobs[self._newest]
        with suppress(TimeoutError):
            self._until(lambda: enough(_text(printed)) or not self._runs(self._newest))
        return _text(printed)

    def run_until(self, command: str, enough: Callable[[str], bool]) -> str:
        """What the command printed when that was enough, and Ctrl-C ended it."""
        printed = self._begin(f"set -m\n{{ {command}\n}} &\nset +m", "")
        (job,) = self._ask('"$!"')
        self._newest = job
        with suppress(TimeoutError):
            self._until(lambda: enough(_text(printed)) or not self._runs(job))
        with suppress(ProcessLookupError):
            os.killpg(job, signal.SIGINT)
        self._send(f"wait {job}; status=$?")
        self._ask('"$status"')
        return _text(printed)

    def end(self) -> list[tuple[int, str]]:
        """Exit status and output of the jobs in the background, which get a SIGTERM."""
        ended = []
        for job, printed in self._jobs.items():
            with suppress(ProcessLookupError):
                os.kill(job, signal.SIGTERM)
            self._send(f"wait {job}; status=$?")
            (status,) = self._ask('"$status"')
            ended.append((status, _text(printed)))
        return ended

    def close(self) -> None:
        """Ends whatever is left of it at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.communicate()

    def _begin(self, command: str, typed: str) -> Path:
        self._count += 1
        reads, printed = self._notes / f"{self._count}.in", self._notes / f"{self._count}.out"
        reads.write_text(typed, encoding="utf-8")
        self._send(f'{{ {command}\n}} <"{reads}" >"{printed}" 2>&1; status=$?')
        return printed

    def _send(self, text: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(text + "\n")
        self._bash.stdin.flush()

    def _ask(self, words: str) -> list[int]:
        """The numbers that the shell has for ``words``, when it has done what it was sent."""
        assert self._bash.stdout is not None
        self._send(f"echo {words}")
        if not select.select([self._bash.stdout], [], [], PATIENCE)[0]:
            raise TimeoutError(f"still at work after {PATIENCE:.0f} s; printed: {_text(self._last())}")
        answer = self._bash.stdout.readline()
        if not answer:
            raise ChildProcessError(f"the shell has ended; printed: {_text(self._last())}")
        return [int(word) for word in answer.split()]

    def _runs(self, job: int) -> bool:
        return job in self._ask("$(jobs -rp)")

    def _last(self) -> Path:
        return self._notes / f"{self._count}.out"

    def _until(self, seen: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not seen():
            if time.monotonic() > deadline:
                raise TimeoutError(f"it is not ready after {PATIENCE:.0f} s; printed: {_text(self._last())}")
            with suppress(subprocess.TimeoutExpired):
                self._bash.wait(GLANCE)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


# ── what is printed ─────────────────────────────────────────────────────────────────────────────────────────────────

_KINDS = {
    # What has another value each time. Values of the first two kinds are remembered: where the page has one of them
    # again, in a command too, it means the same.
    "name": r"task-[0-9a-z]{20}|(?:al[iks]|wh)_[\w-]{4,}|(?<![\w-])(?:[\w-]{43}|(?=[a-f]*\d)[0-9a-f]{12,64})(?![\w-])",
    "number": r"\b\d{13,}\b",
    "time": r"\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?",
    "duration": r"(?<![\w.])\d[\d.]* (?:µs|ms|s|min|h|d)\b(?: \d+ (?:s|min|h)\b)*|(?<=\"ms\":)\d+",
    "size": r"(?<![\w.])\d[\d.,]* (?:B|kB|KB|MB|GB|bytes)\b",
}
_TOKEN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS.items()) + r"|(?P<cut>…)")
_REMEMBERED = ("name", "number")


@dataclass
class Reader:
    """Compares what commands print with what a page shows.

    ``same`` has what the page's words stand for here: its address for the server's, its ids for the ones that came.

    In what a page shows, ``…`` is any part of a line, and a line of ``…`` any number of lines. Ids, keys, times,
    durations and sizes need only be of the same kind, and blanks between words may be more or fewer, since the columns
    of tables are as wide as such words.
    """

    same: dict[str, str] = field(default_factory=dict)

    def here(self, text: str) -> str:
        """The page's text with the words that are true here."""
        for word in sorted(self.same, key=len, reverse=True):
            text = text.replace(word, self.same[word])
        return text

    def matches(self, shown: str, printed: str) -> bool:
        """Whether it is what was shown; then its ids are remembered."""
        words: list[str] = []
        pattern = "".join(self._line(line, words) for line in _plain(shown).splitlines())
        found = re.fullmatch(pattern, _plain(printed) + "\n" if printed.strip() else "")
        if found is None:
            return False
        pairs = [pair for pair in zip(words, found.groups(), strict=True) if pair[0] not in self.same]
        if len(set(pairs)) != len(dict(pairs)):  # one word of the page would stand for several
            return False
        self.same.update(pairs)
        return True

    def _line(self, line: str, words: list[str]) -> str:
        if line.strip() == "…":
            return r"(?:.*\n)*?"
        parts, at = [], 0
        line = self.here(line)
        known = set(self.same.values())
        for token in _TOKEN.finditer(line):
            parts.append(re.escape(line[at : token.start()]))
            at = token.end()
            kind = token.lastgroup or ""
            if kind == "cut":
                parts.append(".*?")
            elif token[0] in known:
                parts.append(re.escape(token[0]))
            elif kind in _REMEMBERED:
                cut = line[at : at + 1] == "…"
                words.append(token[0] + "…" * cut)
                at += cut
                parts.append(f"({_KINDS[kind]})")
            else:
                parts.append(f"(?:{_KINDS[kind]})")
        return "".join(parts) + re.escape(line[at:]) + r"\n"


def _plain(text: str) -> str:
    """Without blanks at the ends of lines and lines at the ends of the text; one blank between words."""
    lines = [re.sub(r"(?<=\S)[ \t]+", " ", line).rstrip() for line in text.strip("\n").splitlines()]
    return "\n".join(lines).rstrip("\n")
