"""``aloma-py workspace source`` and ``workspace sync``: a workspace follows a git repository."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import rich_click as click

from aloma_py.cli import client, output
from aloma_py.cli.asking import make_sure, read_text_file, without_line_end, yes_option
from aloma_py.cli.options import Common, pass_common
from aloma_py.errors import InputError, NotFoundError
from aloma_py.settings import Settings

MEMBERS: Final = (
    "url", "branch", "folder", "user", "password", "ssh_key", "ssh_key_file", "host_key", "automatic", "every",
    "hook_secret",
)  # fmt: skip
"""What a file for ``--file`` may say."""

_ALSO: Final = {"username": "user", "token": "password", "repository": "url", "repo": "url", "auto": "automatic"}

_MARKS: Final = (("+", "added", "green"), ("~", "changed", "yellow"), ("-", "deleted", "red"))


@click.command()
@click.argument("name", required=False)
@click.option("--repo", metavar="URL", help="The repository: https://…, ssh://…, git@host:path, or a local folder.")
@click.option("--branch", metavar="NAME", help="The branch.  [default: the repository's own]")
@click.option("--folder", metavar="PATH", help="The project's folder in the repository.  [default: its root]")
@click.option("--user", metavar="NAME", help="Who asks; a token alone needs none.")
@click.option("--password", metavar="-", help="The password or token: - asks for it, or reads standard input.")
@click.option("--ssh-key", metavar="FILE", help="The private key for an ssh address; - reads standard input.")
@click.option("--host-key", metavar="KEY", help="The ssh host's key: a file as known_hosts, SHA256:…, or any.")
@click.option("--automatic/--manual", default=None, help="Follow by itself, or when `workspace sync` says so.")
@click.option("--every", metavar="TIME", help="How often to look.  [default: 5m]")
@click.option("--hook-secret", metavar="-", help="What the host signs pushes with: - asks, or reads standard input.")
@click.option("-f", "--file", metavar="FILE", type=click.Path(path_type=Path),
              help="All of these as members of a JSON object.")  # fmt: skip
@click.option("--rotate", is_flag=True, help="Give the host another address to tell of pushes.")
@click.option("--stop", is_flag=True, help="Follow no more; the steps stay.")
@yes_option
@pass_common
def source(common: Common, name: str | None, file: Path | None, rotate: bool, stop: bool, yes: bool,
           **options: Any) -> None:  # fmt: skip
    """Show or change which git repository the workspace follows. What is not given stays, an empty text takes away."""
    settings = _settings(common, name)
    given = {**(_read(file) if file is not None else {}), **_given(settings, options)}
    if rotate + stop + bool(given) > 1:
        raise InputError("--rotate, --stop and settings are one thing each: give one of them")
    if stop:
        _stop(common, settings, yes)
    elif rotate:
        _tell(common, client.ask(settings, "rotate_source_hook"))
    elif given:
        _tell(common, client.ask(settings, "set_source", **given))
    else:
        _tell(common, client.ask(settings, "show_source"))


@click.command()
@click.argument("name", required=False)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@pass_common
def sync(common: Common, name: str | None, dry_run: bool) -> None:
    """Make steps and libraries those of the repository that the workspace follows: all of them, or none.

    Stored steps that the repository lacks are deleted, and edited ones overwritten.
    """
    plan = client.ask(_settings(common, name), "plan_source" if dry_run else "sync_source")
    if common.as_json:
        output.emit_json(plan)
        return
    out = output.console()
    out.print(output.styled(f"{_commit(plan['commit'], plan['branch'])}: {output.one_line(plan['title'])}", "dim"))
    parts: list[str] = []
    for kind, several in (("step", "steps"), ("library", "libraries")):
        names = plan[several]
        for mark, word, style in _MARKS:
            for one in names[word]:
                out.print(output.styled(f"{mark} {kind} {one}", style))
        parts += [f"{output.counted(len(names[word]), kind, several)} {word}"
                  for word in ("added", "changed", "deleted", "unchanged") if names[word]]  # fmt: skip
    for one in plan["skipped"]:
        out.print(output.styled(f"skipped {one['path']}: {one['why']}", "dim"))
    head = "" if plan["applied"] else "nothing was changed; it would be: "
    out.print(output.styled(f"{head}{', '.join(parts)}"))
    if plan["libraries"]["left"]:
        out.print(output.styled(f"left: {', '.join(plan['libraries']['left'])}", "dim"))


def print_source(common: Common, name: str | None) -> None:
    """The source configuration, for ``workspace show -sc``."""
    try:
        found = client.ask(_settings(common, name), "show_source")
    except InputError as error:
        click.echo(output.clean(error), err=True)
        return
    _print(common, found)


def shown_source(common: Common, name: str | None) -> Any:
    """The same as JSON; ``None`` where the workspace follows nothing."""
    try:
        return client.ask(_settings(common, name), "show_source")
    except InputError:
        return None


def _settings(common: Common, name: str | None) -> Settings:
    settings = common.settings
    return settings if name is None else settings.model_copy(update={"workspace": name})


def _given(settings: Settings, options: dict[str, Any]) -> dict[str, Any]:
    found = {_ALSO.get(name, name): value for name, value in options.items() if value is not None}
    for name in ("password", "hook_secret"):
        if found.get(name):
            found[name] = _hidden(found[name], f"--{name.replace('_', '-')}")
    if found.get("ssh_key"):
        found["ssh_key"] = read_text_file(found["ssh_key"])
    if found.get("host_key") and Path(found["host_key"]).is_file():
        found["host_key"] = read_text_file(found["host_key"])
    return _at_home(settings, found, Path())


def _hidden(text: str, option: str) -> str:
    if text != "-":
        raise InputError(f"{option}: others could see it on the command line; {option} - asks for it, or reads stdin")
    if sys.stdin.isatty():
        return str(click.prompt(option.lstrip("-").replace("-", " "), hide_input=True, err=True))
    return without_line_end(sys.stdin.read())


def _read(file: Path) -> dict[str, Any]:
    """The members of a file; what is wrong with it is told without what is in it."""
    try:
        told = json.loads(read_text_file(str(file)))
    except ValueError as error:
        line = getattr(error, "lineno", None)
        raise InputError(f"{file}{f':{line}' if line else ''}: this is no JSON") from None
    if not isinstance(told, dict):
        raise InputError(f'{file}: a JSON object was expected, as {{"url": …, "branch": …}}')
    found: dict[str, Any] = {}
    for key, value in told.items():
        member = _ALSO.get(key, key)
        if member not in MEMBERS:
            raise NotFoundError(f"member (in {file})", key, MEMBERS)
        if value is not None:
            found[member] = value
    if "ssh_key_file" in found:
        found["ssh_key"] = read_text_file(str(file.parent / str(found.pop("ssh_key_file"))))
    return found


def _at_home(settings: Settings, found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """With a local repository's whole path: a server may be in another folder."""
    url = found.get("url")
    if url and not settings.url and "://" not in url:
        if (folder / url).is_dir():
            found["url"] = str((folder / url).resolve())
        elif ":" not in url and not url.startswith("/"):
            from aloma_py.sync.address import EXPECTED

            raise InputError(f"there is no folder {url!r}; a folder here, {EXPECTED}")
    return found


def _stop(common: Common, settings: Settings, yes: bool) -> None:
    found = client.ask(settings, "show_source")
    make_sure(yes, f"no longer following {found['url']}", f"Follow {found['url']} no more, and forget its credentials?")
    answer = client.ask(settings, "delete_source")
    output.tell(common.as_json, answer, f"{answer['workspace']} follows {answer['url']} no more; its steps stay")


def _tell(common: Common, found: dict[str, Any]) -> None:
    if common.as_json:
        output.emit_json(found)
        return
    _print(common, found)
    if found["automatic"] and not found["served"]:
        click.echo("it is followed while `aloma-py serve` is running", err=True)


def _address(settings: Settings, path: str | None) -> str | None:
    """The address of the hook, as far as it is known from here."""
    if path is None:
        return None
    return client.reached(settings) + path


def _print(common: Common, found: dict[str, Any]) -> None:
    at = None if found["commit"] is None else f"{_commit(found['commit'], found['commit_branch'])}: {found['title']}"
    rows: list[tuple[str, object]] = [
        ("workspace", found["workspace"]),
        ("url", found["url"]),
        ("branch", found["branch"] or "the repository's own"),
        ("folder", found["folder"]),
        ("user", found["user"]),
        ("secrets", ", ".join(found["secrets"])),
        ("host key", found["host_key"]),
        ("automatic", f"every {output.duration(found['every'])}" if found["automatic"] else "no"),
        ("commit", at),
        ("author", found["author"]),
        ("edited since", "yes" if found["edited"] else None),
        ("last look", found["last_at"]),
        ("next look", found["next_at"]),
        ("error", found["error"]),
        ("hook", _address(common.settings, found["hook"])),
    ]
    output.print_table(output.console(), output.facts(rows))


def _commit(commit: str, branch: str | None) -> str:
    return f"{commit[:12]}{f' of {branch}' if branch else ''}"
