"""``aloma-py library``: the functions that JavaScript steps share."""

from __future__ import annotations

import rich_click as click

from aloma_py.cli import client, folders, output
from aloma_py.cli.options import CommandGroup, Common, pass_common


@click.group(cls=CommandGroup, no_args_is_help=True)
def library() -> None:
    """List, pull and sync libraries: functions that steps share, as `lib.NAME.function()`."""


@library.command("list")
@pass_common
def list_(common: Common) -> None:
    """List the libraries and their functions."""
    found = client.ask(common.settings, "list_libraries")
    if common.as_json:
        output.emit_json(found)
        return
    made = output.table("library", "functions", "where")
    for one in found:
        where = "stored" if one["source"] == "stored" else one["place"]
        made.add_row(
            output.styled(one["name"], "cyan"),
            output.styled(", ".join(one["functions"])),
            output.styled(where, "dim"),
        )
    output.print_table(output.console(), made)


@library.command()
@click.argument("name")
@click.option("--code", is_flag=True, help="Print the text of a stored library only.")
@pass_common
def show(common: Common, name: str, code: bool) -> None:
    """Show a library: its functions and what is said of them."""
    found = client.ask(common.settings, "show_library", name=name)
    if common.as_json:
        output.emit_json(found)
        return
    if code:
        click.echo(output.clean(found.get("text", "")), nl=False)
        return
    out = output.console()
    where = "stored" if found["source"] == "stored" else found["place"]
    rows = [
        ("library", output.styled(name, "bold cyan")),
        ("", found.get("description")),
        ("where", where),
        ("version", found.get("version")),
        ("changed", f"{found['updated_at']} by {found['updated_by']}" if found["source"] == "stored" else None),
    ]
    output.print_table(out, output.facts(rows))
    for function, about in found["functions"].items():
        out.print(output.styled(f"lib.{name}.{function}", "bold"))
        for line in about.splitlines():
            out.print(output.styled(f"  {line}", "dim"))


@library.command()
@click.option("-p", "--path", default=".", show_default="this folder", metavar="FOLDER", help="Where to.")
@click.option("-s", "--library", "name", metavar="NAME", help="Only this one.")
@pass_common
def pull(common: Common, path: str, name: str | None) -> None:
    """Write the stored libraries into files, NAME.js."""
    folders.pull(common, folders.LIBRARIES, path, name)


@library.command()
@click.option("-p", "--path", default=".", show_default="this folder", metavar="FOLDER", help="Where from.")
@click.option("-s", "--library", "name", metavar="NAME", help="Only this one.")
@click.option("--prune", is_flag=True, help="Delete what is stored and has no file.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@pass_common
def sync(common: Common, path: str, name: str | None, prune: bool, dry_run: bool) -> None:
    """Store the libraries of a folder, all or none. Nothing is deleted without --prune."""
    folders.sync(common, folders.LIBRARIES, path, name, prune=prune, dry_run=dry_run)


@library.command()
@click.argument("name")
@pass_common
def delete(common: Common, name: str) -> None:
    """Delete a stored library. Its versions are kept."""
    found = client.ask(common.settings, "delete_library", name=name)
    if common.as_json:
        output.emit_json(found)
    else:
        output.console().print(output.styled(f"deleted the library {name}"))
