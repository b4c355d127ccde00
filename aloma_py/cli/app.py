"""The root of the command line: the commands there are, and what an error becomes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import rich_click as click
from click import Command as AnyCommand
from click import Context

from aloma_py.cli.options import CommandGroup, common

COMMANDS: Final = {
    "run": ("aloma_py.cli.run:run", "Run one task in memory and watch it."),
    "test": ("aloma_py.cli.scenarios:test", "Run scenarios (*.scenario.yaml)."),
    "task": ("aloma_py.cli.task:task", "Give, list, look into and change tasks."),
    "step": ("aloma_py.cli.step:step", "List, show, check and change steps."),
    "library": ("aloma_py.cli.library:library", "List, pull and sync libraries."),
    "workspace": ("aloma_py.cli.workspace:workspace", "Make, look into, change and delete workspaces."),
    "webhook": ("aloma_py.cli.webhook:webhook", "Addresses at which others give tasks."),
    "schedule": ("aloma_py.cli.schedule:schedule", "Give tasks at set times."),
    "notification": ("aloma_py.cli.notification:notification", "Say who is told of tasks that failed."),
    "connector": ("aloma_py.cli.connector:connector", "The outside services that steps call."),
    "secret": ("aloma_py.cli.variable:secret", "Set, list and delete secrets; change the key."),
    "env": ("aloma_py.cli.variable:env", "Set, list and delete variables."),
    "create": ("aloma_py.cli.project:create", "Make a project's folder."),
    "build": ("aloma_py.cli.project:build", "Say whether all of a project can be read."),
    "deploy": ("aloma_py.cli.deploy:deploy", "Make workspaces what a deploy.yaml says."),
    "dev": ("aloma_py.cli.serving:dev", "Serve while steps are being written."),
    "pull": ("aloma_py.cli.pull:pull", "Write stored steps and libraries into a project's files."),
    "serve": ("aloma_py.cli.serving:serve", "Keep running a workspace's tasks."),
    "user": ("aloma_py.cli.access:user", "Invite, list, change and remove people."),
    "key": ("aloma_py.cli.access:key", "Make, list and revoke API keys."),
    "audit": ("aloma_py.cli.access:audit", "Say who changed what."),
    "account": ("aloma_py.cli.account:account", "Say who you are, and what was used."),
    "auth": ("aloma_py.cli.auth:auth", "Save a server elsewhere and its key."),
    "setup": ("aloma_py.cli.auth:setup", "Make the first administrator of a server."),
    "logout": ("aloma_py.cli.auth:logout", "Forget a saved server."),
    "doctor": ("aloma_py.cli.doctor:doctor", "Say what is wrong with an installation."),
    "db": ("aloma_py.cli.db:db", "Look after the store."),
    "help": ("aloma_py.cli.app:help_", "Show the help of a command."),
}
"""Each command with its place, imported when it is called, and its line in the list."""

ALSO: Final = {"login": "auth", "company": "account"}
"""Other words for commands, which the list does not show."""

MISTAKE, ENGINE, INTERRUPTED = 2, 3, 130


class LazyGroup(CommandGroup):
    """Imports a command when it is needed, so that ``--help`` and mistakes are answered at once."""

    def list_commands(self, ctx: Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Context, cmd_name: str) -> AnyCommand | None:
        cmd_name = ALSO.get(cmd_name, cmd_name)
        if cmd_name not in COMMANDS:
            return None
        place, short = COMMANDS[cmd_name]
        if _lists_commands(ctx):  # only the line is shown
            return click.RichCommand(name=cmd_name, short_help=short, help=short)
        module, name = place.split(":")
        command: AnyCommand = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, AnyCommand | None, list[str]]:
        ctx.meta["aloma_py.calls"] = True
        return super().resolve_command(ctx, args)

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        """Run the command and exit with its status; errors become one line on stderr."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # a terminal that cannot show a sign shows another
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))  # modules with steps may lie in the folder that one works in
        extra.pop("standalone_mode", None)
        sys.exit(self._run(args, prog_name or "aloma-py", extra))

    def _run(self, args: Sequence[str] | None, prog_name: str, extra: dict[str, Any]) -> int:
        try:
            status = super().main(args, prog_name, standalone_mode=False, **extra)
            sys.stdout.flush()
            return status if isinstance(status, int) else 0
        except click.UsageError as error:
            return _fail(_usage(error), MISTAKE)
        except click.ClickException as error:
            return _fail(error.format_message(), error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            return INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output has gone: not even the interpreter's last flush is to complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except Exception as error:
            status = status_of(error)
            if status is None:
                raise
            return _fail(str(error), status)


def status_of(error: Exception) -> int | None:
    """The exit status that an error means, or ``None`` for one that should not have come this far."""
    from aloma_py.errors import AlomaError, InputError

    if isinstance(error, InputError):
        return MISTAKE
    return ENGINE if isinstance(error, AlomaError) else None


def _fail(message: str, status: int) -> int:
    click.echo(f"Error: {message}", err=True)
    return status


def _usage(error: click.UsageError) -> str:
    """The mistake, and where to read what is right."""
    message = error.format_message()
    if error.ctx is not None:
        message += f"\nTry '{error.ctx.command_path} -h' for help."
    return message


def _lists_commands(ctx: Context) -> bool:
    return "aloma_py.calls" not in ctx.meta


def _print_version(ctx: Context, param: Any, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from aloma_py import __version__

        click.echo(f"aloma-py {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.option("-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
              help="Show the version and exit.")  # fmt: skip
@common
def app() -> None:
    """Conditional automation: steps that run when a task's data matches their condition.

    ALOMA_STORE and ALOMA_WORKSPACE in the environment mean the same as the options.
    """


@click.command("help")
@click.argument("command", nargs=-1)
@click.pass_context
def help_(ctx: Context, command: tuple[str, ...]) -> None:
    """Show the help of a command."""
    root = ctx.find_root()
    root.meta["aloma_py.calls"] = True
    at, found = root, root.command
    if not command:
        del root.meta["aloma_py.calls"]
    for name in command:
        inner = found.get_command(at, name) if isinstance(found, click.RichGroup) else None
        if inner is None:
            raise click.UsageError(f"there is no command {' '.join(command)!r}", root)
        at, found = inner.make_context(name, [], parent=at, resilient_parsing=True), inner
    click.echo(found.get_help(at))
