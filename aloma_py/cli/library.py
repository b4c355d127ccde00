"""``aloma-py library``: the functions that JavaScript steps share."""

from __future__ import annotations

import rich_click as click

from aloma_py.cli import client, folders, output
from aloma_py.cli.asking import never_asks
from aloma_py.cli.options import CommandGroup, Common, pass_common


@click.group(cls=CommandGroup, no_args_is_help=True)
def library() -> None:
    """List, pull and sync libraries: functions that steps share, as `lib.NAME.function()`."""


@library.command("list")
@pass_common
def list_(common: Common) -> None:
    """List the libraries and their functions."""
    found = client.ask(common.settings, "list_libraries")
    out = output.listing(common.as_json, found)
    if out is not None:
        rows = (
            (
                output.styled(one["name"], "cyan"),
                ", ".join(one["functions"]),
                output.styled("stored" if one["source"] == "stored" else one["place"], "dim"),
            )
            for one in found
        )
        output.print_rows(out, ("library", "functions", "where"), rows)


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


folders.add_commands(library, folders.LIBRARIES)


@library.command()
@click.argument("name")
@never_asks
@pass_common
def delete(common: Common, name: str) -> None:
    """Delete a stored library. Its versions are kept."""
    found = client.ask(common.settings, "delete_library", name=name)
    output.tell(common.as_json, found, output.clean(f"deleted the library {name}"))
    if not common.as_json:
        output.warn_named(found)
