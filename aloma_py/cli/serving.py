"""``aloma-py serve``: keep running a workspace's tasks."""

from __future__ import annotations

import logging
import sys

import anyio
import rich_click as click

from aloma_py.cli.logs import log_to_stderr
from aloma_py.cli.options import Common, pass_common, read_pairs
from aloma_py.durations import parse_duration
from aloma_py.errors import InputError
from aloma_py.serve.loop import Ready, Serving
from aloma_py.serve.loop import serve as serve_workspace

LEVELS = {"quiet": logging.WARNING, "verbose": logging.DEBUG}


@click.command()
@click.argument("paths", metavar="PATH…", nargs=-1, required=True)
@click.option("--library", "libraries", metavar="NS=PATH", multiple=True, help="Functions as lib.NS; any number.")
@click.option("--config", metavar="K=V", multiple=True, help="What task.config(K) gives; any number of times.")
@pass_common
def dev(common: Common, paths: tuple[str, ...], libraries: tuple[str, ...], config: tuple[str, ...]) -> None:
    """Serve while steps are being written.

    As serve, but a file of PATH that is changed is taken in at once, and each task is told when it ends. Files that
    cannot be loaded are told, and those before them go on.
    """
    what = Serving(
        settings=common.settings,
        sources=paths,
        libraries=read_pairs(libraries, "--library"),
        config=read_pairs(config, "--config"),
        grace=1_000,
        watching=True,
    )
    _serve(what, logging.DEBUG, as_json=common.as_json)


@click.command()
@click.argument("paths", metavar="[PATH]…", nargs=-1)
@click.option("--library", "libraries", metavar="NS=PATH", multiple=True, help="Functions as lib.NS; any number.")
@click.option("--config", metavar="K=V", multiple=True, help="What task.config(K) gives; any number of times.")
@click.option("--grace", default="10s", show_default=True, metavar="TIME", help="How long runs may take to end.")
@click.option("--verbose", "level", flag_value="verbose", help="Say when each task ends, and each request.")
@click.option("--quiet", "level", flag_value="quiet", help="Say only what is wrong.")
@pass_common
def serve(
    common: Common,
    paths: tuple[str, ...],
    libraries: tuple[str, ...],
    config: tuple[str, ...],
    grace: str,
    level: str | None,
) -> None:
    """Keep running a workspace's tasks: what is pending, parked and due.

    PATH are files, folders or modules with steps; without one, those that were last served. SIGTERM or Ctrl-C stops
    it: runs under way may end, for up to --grace; a second one stops it at once. Nothing is lost by either. It logs to
    stderr, with --json in lines of JSON.
    """
    what = Serving(
        settings=common.settings,
        sources=paths,
        libraries=read_pairs(libraries, "--library"),
        config=read_pairs(config, "--config"),
        grace=parse_duration(grace, "--grace"),
    )
    _serve(what, LEVELS.get(level or ""), as_json=common.as_json)


def _serve(what: Serving, level: int | None, *, as_json: bool) -> None:
    if what.settings.url:
        raise InputError("serve runs a store on this machine; --url, --profile and ALOMA_URL are for other commands")
    log_to_stderr(level, what.settings.log_level, as_json=as_json)

    async def work() -> None:
        await serve_workspace(what, _say_ready)

    anyio.run(work, backend_options={"use_uvloop": sys.platform != "win32"})


def _say_ready(ready: Ready) -> None:
    logging.getLogger("aloma_py.serve").log(
        logging.WARNING if logging.getLogger("aloma_py").level > logging.INFO else logging.INFO,
        "%s",
        ready,
        extra={"action": "ready", "socket": str(ready.socket)},
    )
