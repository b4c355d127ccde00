"""A digest as people read it: plain text, and simple HTML that shows the same. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from aloma_py.models import Json

Digest = Mapping[str, Any]

_STYLE: Final = "font-family: sans-serif; font-size: 15px; line-height: 1.4; color: #222"
_DIM: Final = "color: #777; font-size: 13px"


def plain_page(digest: Digest) -> str:
    """The text of a mail."""
    if digest["type"] == "test":
        return (
            f"This is {digest['text']}.\n\nNothing failed. Somebody asked for it with `aloma-py notification test`.\n"
        )
    data = digest["data"]
    lines = [f"{digest['text']}.", f"From {_minute(data['since'])} to {_minute(data['until'])} UTC."]
    if data["recovered"]:
        lines.append(_recovered(data["recovered"]))
    for workspace in data["workspaces"]:
        lines += ["", _head(workspace), "-" * len(_head(workspace))]
        for cause in workspace["causes"]:
            lines += ["", f"{cause['tasks']:,} × {_cause(cause)}"]
            for one in cause["examples"]:
                lines.append(f"    {_minute(one['at'])}  {one['id']}  {one['name']}")
                if one["message"] != cause["message"]:
                    lines.append(f"        {one['message']}")
                if one["url"]:
                    lines.append(f"        {one['url']}")
            lines += [f"    {text}" for text in _left_of(cause)]
        lines += [f"\n{text}" for text in _left(workspace)]
    return "\n".join([*lines, "", "-- ", *_foot(data)]) + "\n"


def html_page(digest: Digest) -> str:
    """The same as HTML, with nothing that is loaded from anywhere."""
    return "".join(("<!doctype html><html><body>", f'<div style="{_STYLE}">', *_html(digest), "</div></body></html>\n"))


def _html(digest: Digest) -> Iterator[str]:
    if digest["type"] == "test":
        yield f"<p>This is {escape(digest['text'])}.</p>"
        yield "<p>Nothing failed. Somebody asked for it with <code>aloma-py notification test</code>.</p>"
        return
    data = digest["data"]
    yield f"<p><b>{escape(digest['text'])}.</b><br>From {_minute(data['since'])} to {_minute(data['until'])} UTC.</p>"
    if data["recovered"]:
        yield f"<p>{_recovered(data['recovered'])}</p>"
    for workspace in data["workspaces"]:
        yield f"<h3>{escape(_head(workspace))}</h3><ul>"
        for cause in workspace["causes"]:
            yield f"<li><b>{cause['tasks']:,} ×</b> {escape(_cause(cause))}<br>"
            for one in cause["examples"]:
                yield f'<span style="{_DIM}">{_minute(one["at"])}</span> {_link(one)} {escape(one["name"])}<br>'
                if one["message"] != cause["message"]:
                    yield f'<span style="{_DIM}">{escape(one["message"])}</span><br>'
            yield from (f'<span style="{_DIM}">{escape(text)}</span>' for text in _left_of(cause))
            yield "</li>"
        yield "</ul>"
        yield from (f"<p>{escape(text)}</p>" for text in _left(workspace))
    yield f'<p style="{_DIM}">{"<br>".join(escape(text) for text in _foot(data))}</p>'


def _link(example: Mapping[str, Any]) -> str:
    id = f"<code>{escape(example['id'])}</code>"
    return f'<a href="{escape(example["url"])}">{id}</a>' if example["url"] else id


def _head(workspace: Mapping[str, Any]) -> str:
    parts = [f"{workspace['error']:,} failed"] if workspace["error"] else []
    if workspace["attention"]:
        parts.append(f"{workspace['attention']:,} {'needs' if workspace['attention'] == 1 else 'need'} attention")
    return f"{workspace['name']}: {', '.join(parts)}"


def _cause(cause: Mapping[str, Json]) -> str:
    step = f"step {cause['step']}: " if cause["step"] else ""
    kind = f"{cause['type']}: " if cause["type"] else ""
    return f"{step}{kind}{cause['message']}"


def _left_of(cause: Mapping[str, Any]) -> list[str]:
    left = cause["tasks"] - len(cause["examples"])
    return [f"and {left:,} more"] if left else []


def _left(workspace: Mapping[str, Any]) -> list[str]:
    more = workspace["more"]
    if not more["causes"]:
        return []
    causes = "another cause" if more["causes"] == 1 else f"{more['causes']:,} other causes"
    return [f"And {_tasks(more['tasks'])} with {causes}."]


def _foot(data: Mapping[str, Any]) -> list[str]:
    minutes = data["every"] // 60_000
    names = ", ".join(one["name"] for one in data["workspaces"])
    return [
        f"{data['group']} is told of the failed tasks of {names}, at most once in {minutes} minutes.",
        "A task: aloma-py task show ID --workspace NAME. Who is told: aloma-py notification list.",
    ]


def _tasks(number: int) -> str:
    return f"{number:,} task{'' if number == 1 else 's'}"


def _recovered(number: int) -> str:
    return f"{_tasks(number)} failed in between, and {'does' if number == 1 else 'do'} so no more."


def _minute(at: str) -> str:
    """``2026-03-01T12:00:59.000Z`` as ``2026-03-01 12:00:59``."""
    return at[:19].replace("T", " ")
