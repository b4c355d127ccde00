"""Folders of step or library files, beside what is stored: which files there are, and where a name's file is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click
from rich.console import Console

from aloma_py.cli import client, output
from aloma_py.cli.options import CommandGroup, Common, pass_common, refused_option
from aloma_py.errors import InputError
from aloma_py.steps.javascript.define import SUFFIXES, read_text

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Words:
    """How the two kinds are told."""

    kind: str
    one: str
    several: str
    pulls: str  # the help of the command that writes them


STEPS = Words("step", "step", "steps",
              "Write the stored steps into files, NAME.js; a slash in the name makes a folder.")  # fmt: skip
LIBRARIES = Words("library", "library", "libraries", "Write the stored libraries into files, NAME.js.")


def pull(common: Common, words: Words, folder: str, name: str | None, *, verbose: bool = False) -> None:
    """Write the stored scripts (or that of ``name``) into the folder, and tell."""
    wanted: dict[str, Any] = {"name": name} if name else {}
    found = client.ask(common.settings, "list_scripts", kind=words.kind, texts=True, **wanted)
    root = Path(folder)
    targets = [(file_of(root, one["name"], one["suffix"]), one["text"].encode()) for one in found]  # all, or none
    written: list[str] = []
    unchanged: list[str] = []
    for target, text in targets:
        (written if _write(target, text) else unchanged).append(str(target))
    if common.as_json:
        output.emit_json({"written": written, "unchanged": unchanged if verbose else len(unchanged)})
        return
    out = output.console()
    for path in written:
        out.print(output.styled(f"wrote {path}"))
    if verbose:
        _name_unchanged(out, unchanged)
    if unchanged or not written:
        out.print(output.styled(f"{output.counted(len(unchanged), words.one, words.several)} unchanged", "dim"))


def _name_unchanged(out: Console, names: Sequence[str]) -> None:
    for name in names:
        out.print(output.styled(f"= {name}", "dim"))


def file_of(root: Path, name: str, suffix: str) -> Path:
    """The file of a script: spaces stay, slashes make folders. Never one outside of ``root``.

    Raises :class:`~aloma_py.errors.InputError`.
    """
    parts = name.split("/")
    if suffix not in SUFFIXES or any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise InputError(f"{name + suffix!r} cannot be a file below {str(root)!r}; nothing was written")
    target = root.joinpath(*parts[:-1], parts[-1] + suffix)
    if target.is_symlink() or not target.parent.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{str(target)!r} leads out of {str(root)!r}; nothing was written")
    return target


def _write(target: Path, text: bytes) -> bool:
    """Write a file, unless it is so already."""
    try:
        if target.is_file() and target.read_bytes() == text:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text)
    except OSError as error:
        raise InputError(f"{str(target)!r} cannot be written: {error.strerror or error}") from None
    return True


def sync(common: Common, words: Words, folder: str, name: str | None, *, prune: bool, dry_run: bool,
         verbose: bool = False) -> None:  # fmt: skip
    """Store what the files of the folder say, all or none, and tell."""
    scripts = read_folder(Path(folder), words, name)
    what: dict[str, Any] = {"kind": words.kind, "scripts": scripts, "prune": prune, "dry_run": dry_run}
    if name:
        what["only"] = name
    plan = client.ask(common.settings, "sync_scripts", **what)
    if common.as_json:
        output.emit_json(plan)
        return
    out = output.console()
    if verbose:
        _name_unchanged(out, plan["unchanged"])
    tell_plan(out, plan, words, folder)


def read_folder(root: Path, words: Words, only: str | None = None) -> list[dict[str, str]]:
    """The scripts of a folder, by name; names that begin with ``_`` or ``.`` are skipped, as where files are served.

    Raises :class:`~aloma_py.errors.InputError` where there is none: that is likely a slip, which ``--prune`` would
    make expensive.
    """
    if not root.is_dir():
        raise InputError(f"there is no folder {str(root)!r}")
    found = []
    for file in _files(root):
        name = file.relative_to(root).with_suffix("").as_posix()
        if only in (None, name):
            found.append({"name": name, "text": read_text(file), "suffix": file.suffix})
    if not found:
        what = f"{only}.js" if only else "JavaScript file"
        raise InputError(f"there is no {what} in {str(root)!r}: no {words.one} to sync")
    return found


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for place in sorted(folder.iterdir(), key=lambda place: place.name):
        if place.name.startswith((".", "_")):
            continue
        if place.is_dir():
            found += _files(place)
        elif place.suffix in SUFFIXES and not place.name.endswith((".d.ts", ".d.mts")):
            found.append(place)
    return found


def tell_plan(out: Console, plan: dict[str, Any], words: Words, folder: str) -> None:
    """A line for each that is not as it was."""
    for mark, part, style in (("+", "added", "green"), ("~", "changed", "yellow"), ("-", "deleted", "red")):
        for name in plan[part]:
            out.print(output.styled(f"{mark} {name}", style))
    rest = [f"{len(plan[part])} {part}" for part in ("added", "changed", "deleted", "unchanged") if plan[part]]
    head = "" if plan["applied"] else "nothing was changed; it would be: "
    out.print(output.styled(f"{head}{', '.join(rest)}"))
    if plan["left"]:
        left: Sequence[str] = plan["left"]
        count = output.counted(len(left), words.one, words.several)
        out.print(output.styled(f"{count} stored and not in {folder}: {', '.join(left)} (--prune deletes)", "dim"))


# ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────────


def add_commands(group: CommandGroup, words: Words) -> None:
    """The commands ``pull`` and ``sync`` of a group."""

    def options(preposition: str) -> Callable[[F], F]:
        def add(command: F) -> F:
            chosen: list[Callable[[F], F]] = [
                click.option("--verbose", is_flag=True, help="Name what is unchanged, too."),
                click.option("-s", f"--{words.one}", "name", metavar="NAME", help="Only this one."),
                click.option("-p", "--path", default=".", show_default="this folder", metavar="FOLDER",
                             help=f"Where {preposition}."),
            ]  # fmt: skip
            for option in chosen:
                command = option(command)
            return command

        return add

    @group.command("pull", help=words.pulls)
    @options("to")
    @pass_common
    def pull_(common: Common, path: str, name: str | None, verbose: bool) -> None:
        pull(common, words, path, name, verbose=verbose)

    @group.command("sync", help=f"Store the {words.several} of a folder, all or none. Nothing is deleted without "
                   "--prune.")  # fmt: skip
    @options("from")
    @click.option("--prune", is_flag=True, help="Delete what is stored and has no file.")
    @click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
    @refused_option("--production", why="there is one kind of workspace here: choose it with --workspace")
    @pass_common
    def sync_(common: Common, path: str, name: str | None, verbose: bool, prune: bool, dry_run: bool) -> None:
        sync(common, words, path, name, prune=prune, dry_run=dry_run, verbose=verbose)
