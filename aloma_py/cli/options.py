"""Options that several commands have, and what they mean together."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click
from click import Command, Context, Parameter, get_current_context

if TYPE_CHECKING:
    from aloma_py.models import Json, Limits
    from aloma_py.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_META = "aloma_py.options"


class CommandGroup(click.RichGroup):
    """A group that lists its commands in the order in which they were written, and knows what was meant."""

    def list_commands(self, ctx: Context) -> list[str]:
        return list(self.commands)

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None:
            from aloma_py.errors import suggest

            shown = [name for name in self.list_commands(ctx) if name not in self._unshown]
            raise click.UsageError(f"there is no command {args[0]!r}{suggest(args[0], shown)}", ctx)
        return super().resolve_command(ctx, args)

    @property
    def _unshown(self) -> set[str]:
        return {name for name, command in self.commands.items() if command.hidden}

    def also(self, command: Command, name: str) -> None:
        """Another word for a command, which the list does not show."""
        other = copy.copy(command)
        other.hidden = True
        self.add_command(other, name)

    def refuses(self, name: str, why: str) -> None:
        """A command that others have and this group has not: it says why, and what to do."""

        @self.command(name, hidden=True, context_settings={"ignore_unknown_options": True}, add_help_option=False)
        @click.argument("words", nargs=-1, type=click.UNPROCESSED)
        def refuse(words: tuple[str, ...]) -> None:
            from aloma_py.errors import InputError

            raise InputError(why)


def refused_option(*names: str, why: str, value: bool = False) -> Callable[[F], F]:
    """An option that others have and the command has not: it says why, and what to do. ``value``: it takes one."""

    def refuse(ctx: Context, param: Parameter, given: Any) -> None:
        if given and not ctx.resilient_parsing:
            from aloma_py.errors import InputError

            raise InputError(why)

    return click.option(*names, is_flag=not value, hidden=True, expose_value=False, callback=refuse)


def accepted_option(*names: str, value: bool = False) -> Callable[[F], F]:
    """An option of others that says what is so anyhow: it is taken, and does nothing."""
    return click.option(*names, is_flag=not value, hidden=True, expose_value=False)


@dataclass(frozen=True, slots=True)
class Common:
    """What ``--store``, ``--workspace`` and ``--json`` say, wherever on the line they stand."""

    store: str | None = None
    workspace: str | None = None
    url: str | None = None
    key: str | None = None
    profile: str | None = None
    as_json: bool = False

    def _of_profile(self) -> dict[str, Any]:
        """What the profile says that was named here or in the environment."""
        name = self.profile or os.environ.get("ALOMA_PROFILE")
        if not name or self.url:
            return {}
        from aloma_py.cli.profiles import find_profile

        found = find_profile(name)
        return {"url": found.url, "key": found.key, "workspace": found.workspace}

    @property
    def settings(self) -> Settings:
        """The settings of the environment, under what was said on the command line."""
        from pydantic import ValidationError

        from aloma_py.errors import InputError
        from aloma_py.settings import Settings

        given: dict[str, Any] = {
            **self._of_profile(),
            **{
                name: getattr(self, name)
                for name in ("store", "workspace", "url", "key")
                if getattr(self, name) is not None
            },
        }
        try:
            return Settings(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(map(str, first["loc"]))
            raise InputError(f"the setting ALOMA_{name.upper()}={first['input']!r}: {first['msg']}") from None


def common(command: F) -> F:
    """``--store``, ``--workspace`` and ``--json``: before and after the command's name; the later one counts."""
    options: list[Callable[[F], F]] = [
        click.option("--json", "as_json", is_flag=True, default=None, expose_value=False, callback=_keep,
                     help="Print JSON, for programs."),
        click.option("--workspace", metavar="NAME", expose_value=False, callback=_keep,
                     help="The workspace.  [default: default]"),
        click.option("--profile", metavar="NAME", expose_value=False, callback=_keep,
                     help="A server that `auth` has saved."),
        click.option("--key", metavar="KEY", expose_value=False, callback=_keep,
                     help="An API key for --url; ALOMA_KEY keeps it out of the shell's history."),
        click.option("--url", metavar="URL", expose_value=False, callback=_keep,
                     help="A server elsewhere, instead of a local store."),
        click.option("--store", metavar="FILE", expose_value=False, callback=_keep,
                     help="The SQLite file.  [default: aloma.db]"),
    ]  # fmt: skip
    for option in options:
        command = option(command)
    return command


def _keep(ctx: Context, param: Parameter, value: Any) -> None:
    if value is not None and param.name is not None:
        ctx.meta.setdefault(_META, {})[param.name] = value


def pass_common(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the function the :class:`Common` as its first argument, and the command the options for it."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        ctx = get_current_context()
        return ctx.invoke(function, Common(**ctx.meta.get(_META, {})), *args, **kwargs)

    return common(update_wrapper(wrapper, function))


def data_options(command: F) -> F:
    """``-d JSON`` and ``-f FILE``; read them with :func:`read_data`."""
    options: list[Callable[[F], F]] = [
        click.option("-f", "--file", metavar="FILE", help="The data, from a .json or .yaml file."),
        click.option("-d", "--data", metavar="JSON", help="The data, a JSON object; - reads it from stdin."),
    ]
    for option in options:
        command = option(command)
    return command


def read_data(data: str | None, file: str | None, limits: Limits | None = None) -> dict[str, Json]:
    """The object that ``-d`` or ``-f`` gives; :class:`~aloma_py.errors.InputError` for none, both, or no object."""
    from aloma_py.errors import InputError
    from aloma_py.intake import read_task_file, read_task_json

    if data is not None and file is not None:
        raise InputError("-d and -f both give the data; use one of them")
    if file in ("-", "/dev/stdin"):
        raise InputError(f"-f {file}: a .json or .yaml file was expected; -d - reads the data from standard input")
    if data is not None and data.startswith("@"):
        instead = (
            "-d - reads it from standard input" if data == "@-" else f"-f {data[1:] or 'FILE'} reads it from a file"
        )
        raise InputError(f"-d {data}: a JSON object was expected; {instead}")
    if file is not None:
        return read_task_file(Path(file), limits)
    if data == "-":
        return read_task_json(sys.stdin.buffer.read(), where="stdin", limits=limits)
    if data is not None:
        return read_task_json(data, where="-d", limits=limits)
    raise InputError("the data is missing: give it with -d JSON or -f FILE")


def read_pairs(pairs: Sequence[str], option: str) -> dict[str, str]:
    """``K=V`` texts as a mapping; ``option`` is named where one is none."""
    from aloma_py.errors import InputError

    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InputError(f"{option} {pair!r}: NAME=VALUE was expected")
        found[name] = value
    return found


def steps_option(command: F) -> F:
    """``--steps PATH``, any number of times."""
    return click.option(
        "--steps",
        "sources",
        metavar="PATH",
        multiple=True,
        help="Where the steps are, if not where they were last served from.",
    )(command)


def switches(
    group: CommandGroup, operation: str, on: str, off: str, tell: Callable[[Common, dict[str, Any], str], None]
) -> None:
    """The commands ``enable NAME`` and ``disable NAME``, which ask the operation with ``enabled``; ``on`` and ``off``
    are their help, ``tell(common, answer, "enabled")`` prints."""

    def add(name: str, help: str, enabled: bool) -> None:
        @group.command(name, help=help)
        @click.argument("name")
        @pass_common
        def switch(common: Common, name: str) -> None:
            from aloma_py.cli import client

            done = "enabled" if enabled else "disabled"
            tell(common, client.ask(common.settings, operation, name=name, enabled=enabled), done)

    add("enable", on, True)
    add("disable", off, False)


__all__ = [
    "CommandGroup",
    "Common",
    "accepted_option",
    "common",
    "data_options",
    "pass_common",
    "read_data",
    "read_pairs",
    "refused_option",
    "steps_option",
    "switches",
]
