"""``aloma-py connector``: the outside services that a workspace's steps call."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import rich_click as click

from aloma_py import jsontext
from aloma_py.cli import client, output
from aloma_py.cli.asking import make_sure, without_line_end, yes_option
from aloma_py.cli.options import CommandGroup, Common, accepted_option, pass_common, read_pairs, switches
from aloma_py.connect.kinds import is_reference
from aloma_py.connect.naming import kind_names
from aloma_py.errors import InputError
from aloma_py.intake import read_task_file, read_task_json
from aloma_py.models import Json

PARSED: Final = frozenset({"object", "list", "whole number", "number", "true or false"})
"""Types of fields whose values on the command line are JSON; what is none stays a text."""


@click.group(cls=CommandGroup, no_args_is_help=True)
def connector() -> None:
    """The outside services that a workspace's steps call.

    A connector is of a kind that a plugin offers, and has a configuration. Steps call it by its namespace:
    connectors.NAMESPACE.METHOD(…). NAME is its namespace, or its name.
    """


@connector.command("list")
@accepted_option("--verbose")
@pass_common
def list_(common: Common) -> None:
    """List the connectors, and say which do not work."""
    found = client.ask(common.settings, "list_connectors")
    out = output.listing(common.as_json, found, "no connectors")
    if out is not None:
        rows = [(one["namespace"], one["kind"], one["name"], ", ".join(one["tags"]), _state(one)) for one in found]
        output.print_rows(out, ("namespace", "kind", "name", "tags", "state"), rows)


def _state(one: Mapping[str, Any]) -> Any:
    state: str = one["state"]
    style = {"ready": "green", "disabled": "dim"}.get(state, "bold red")
    return output.styled(output.one_line(f"{state}: {one['problem']}" if one["problem"] else state), style)


@connector.command("list-available")
@click.option("-f", "--filter", "wanted", metavar="TEXT", help="Only those with this text in name or description.")
@pass_common
def list_available(common: Common, wanted: str | None) -> None:
    """List the kinds of connectors that can be added, with the fields of their configurations."""
    found = _kinds(common)
    if wanted is not None:
        word = wanted.lower()
        found = [one for one in found if word in f"{one['name']}\n{one['title']}\n{one['description']}".lower()]
    out = output.listing(common.as_json, found, "no kinds of connectors" if wanted is None else f"none with {wanted!r}")
    if out is None:
        return
    for one in found:
        out.print(output.styled(one["name"], "bold cyan"), output.styled(f" {one['description']}"))
        rows = [(f"  {each['name']}", _type(each), each["description"]) for each in one["fields"]]
        if rows:
            output.print_rows(out, ("  field", "", ""), rows)


def _type(field: Mapping[str, Any]) -> str:
    words = [field["type"], *(["secret"] if field["secret"] else []), *(["required"] if field["required"] else [])]
    return ", ".join(words)


@connector.command()
@click.argument("name")
@accepted_option("--config")
@pass_common
def show(common: Common, name: str) -> None:
    """Show a connector and its configuration; of secrets only that they are there."""
    found = client.ask(common.settings, "show_connector", name=name)
    if common.as_json:
        output.emit_json(found)
        return
    rows = [
        ("namespace", found["namespace"]), ("name", found["name"]), ("kind", found["kind"]),
        ("tags", ", ".join(found["tags"])), ("state", _state(found)),
        *((field, value if isinstance(value, str) else jsontext.dumps(value))
          for field, value in found["config"].items()),
        *((field, output.styled("(secret)", "dim")) for field in found["secrets"]),
        ("changed", f"{found['updated_at']} by {found['updated_by']}"),
    ]  # fmt: skip
    output.print_table(output.console(), output.facts(rows))


_CONFIG: Final = click.option(
    "--config", "pairs", metavar="FIELD=VALUE", multiple=True,
    help="A field of the configuration; any number of times. FIELD=- asks for it, or reads standard input.",
)  # fmt: skip


@connector.command()
@click.argument("kind")
@click.option("-n", "--name", metavar="NAME", help="What people see.  [default: the kind]")
@click.option("-ns", "--namespace", metavar="WORD", help="What steps call.  [default: the kind in camel case]")
@_CONFIG
@click.option("--config-file", "file", metavar="FILE", help="The configuration, from a .json or .yaml file.")
@click.option("-t", "--tags", metavar="T1,T2", help="Tags, with commas between them.")
@click.option("--disabled", is_flag=True, help="Do not let steps call it until it is enabled.")
@pass_common
def add(
    common: Common,
    kind: str,
    name: str | None,
    namespace: str | None,
    pairs: Sequence[str],
    file: str | None,
    tags: str | None,
    disabled: bool,
) -> None:
    """Add a connector of a KIND (see list-available).

    On a terminal, required fields that are not given are asked for. ${NAME} in a value is the workspace's variable or
    secret of that name.
    """
    fields = _fields(common, kind)
    config = {**(_from_file(file) if file is not None else {}), **_read(pairs, fields)}
    if sys.stdin.isatty():
        for field in fields.values():
            if field["required"] and field["name"] not in config:
                config[field["name"]] = click.prompt(field["name"], hide_input=field["secret"], err=True)
    given: dict[str, Any] = {"name": name, "namespace": namespace, "tags": _tags(tags)}
    found = {key: value for key, value in given.items() if value is not None}
    _tell(common, client.ask(common.settings, "add_connector", kind=kind, config=config, enabled=not disabled, **found),
          "added")  # fmt: skip


@connector.command()
@click.argument("name")
@click.option("-n", "--name", "rename", metavar="NAME", help="Its new name.")
@click.option("-ns", "--namespace", metavar="WORD", help="Its new namespace: what steps call.")
@_CONFIG
@click.option("-f", "--file", metavar="FILE", help='Fields from a .json or .yaml file: {"config": {…}}.')
@click.option("-t", "--tags", metavar="T1,T2", help="Its tags, with commas between them; an empty text clears.")
@pass_common
def update(
    common: Common,
    name: str,
    rename: str | None,
    namespace: str | None,
    pairs: Sequence[str],
    file: str | None,
    tags: str | None,
) -> None:
    """Change what is given of a connector; the rest stays.

    FIELD= without a value takes the field away, as null does in a file.
    """
    given: dict[str, Any] = {"rename": rename, "namespace": namespace, "tags": _tags(tags)}
    if pairs or file is not None:
        kind = client.ask(common.settings, "show_connector", name=name)["kind"]
        read = _read(pairs, _fields(common, kind))
        removed = {field: None if value == "" else value for field, value in read.items()}
        given["config"] = {**(_from_file(file) if file is not None else {}), **removed}
    found = {key: value for key, value in given.items() if value is not None}
    if not found:
        raise InputError("nothing to change was given; see aloma-py connector update -h")
    _tell(common, client.ask(common.settings, "update_connector", name=name, **found), "changed")


connector.also(update, "configure")


def _tell(common: Common, answer: dict[str, Any], what: str) -> None:
    """Tell what was done, and why it does not help yet."""
    called = f"connectors.{answer['namespace']}"
    output.tell(common.as_json, answer, output.one_line(f"{what} {answer['name']}: steps call it as {called}"))
    if common.as_json:
        return
    if answer.get("warning"):
        click.echo(output.clean(answer["warning"]), err=True)
    if answer["problem"]:
        click.echo(output.clean(f"it is not available: {answer['problem']}"), err=True)


def _switched(common: Common, answer: dict[str, Any], what: str) -> None:
    output.tell(common.as_json, answer, output.one_line(f"{what} {answer['namespace']}"))


switches(
    connector,
    "update_connector",
    "Let steps call a connector again.",
    "Have steps go without a connector, as if there were none.",
    _switched,
)


@connector.command()
@click.argument("name")
@yes_option
@pass_common
def delete(common: Common, name: str, yes: bool) -> None:
    """Remove a connector with its configuration."""
    make_sure(yes, f"deleting the connector {name!r}", f"Delete the connector {name} with its configuration?")
    answer = client.ask(common.settings, "delete_connector", name=name)
    output.tell(common.as_json, answer, f"deleted {output.one_line(answer['namespace'])}")


@connector.command("test")
@click.argument("name")
@pass_common
def test_(common: Common, name: str) -> int:
    """Ask the service whether a connector works. The exit status is 1 where it does not."""
    found = client.ask(common.settings, "check_connector", name=name)
    mark = {True: "works: ", False: "does not work: ", None: ""}[found["ok"]]
    output.tell(common.as_json, found, output.one_line(f"{found['namespace']} {mark}{found['said']}"))
    return 1 if found["ok"] is False else 0


connector.also(test_, "status")


@connector.command()
@click.argument("name")
@click.option("--tail", type=click.IntRange(1, 1000), default=20, show_default=True, help="So many of the newest.")
@pass_common
def logs(common: Common, name: str, tail: int) -> None:
    """List the newest calls of a connector, as they were recorded; fetch is one too."""
    found = client.ask(common.settings, "connector_calls", name=name, limit=tail)
    out = output.listing(common.as_json, found, "no calls were recorded")
    if out is None:
        return
    rows = [
        (one["at"], one["method"], output.styled(one["outcome"], "" if one["outcome"] == "returned" else "bold red"),
         output.duration(one["milliseconds"]), one["step"], one["task"], _result(one))
        for one in reversed(found)
    ]  # fmt: skip
    output.print_rows(out, ("at", "method", "outcome", "took", "step", "task", ""), rows)


def _result(call: Mapping[str, Any]) -> str:
    answer = call["answer"]
    if call["outcome"] == "raised" and isinstance(answer, dict):
        return output.one_line(answer.get("message") or "")
    status = answer.get("status") if isinstance(answer, dict) else None
    return str(status) if isinstance(status, int) else ""


connector.refuses("oauth", "signing in to a service for a connector (OAuth) is not there yet; give it a token instead")

# ── configurations ──────────────────────────────────────────────────────────────────────────────────────────────────


def _kinds(common: Common) -> list[dict[str, Any]]:
    """The kinds that the server offers; those installed here, where there is no store yet."""
    settings = common.settings
    if settings.url or settings.store.exists():
        found: list[dict[str, Any]] = client.ask(settings, "list_connector_kinds")
    else:
        found = client.ask_in_memory(settings, "list_connector_kinds", sources=())
    return found


def _fields(common: Common, kind: str) -> dict[str, dict[str, Any]]:
    """The fields of a kind by name; none of one that is not offered, which the server tells better."""
    found = {one["name"]: one for one in _kinds(common)}
    named = next((found[name] for name in kind_names(kind) if name in found), None)
    return {field["name"]: field for field in named["fields"]} if named is not None else {}


def _read(pairs: Sequence[str], fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Json]:
    """What ``--config FIELD=VALUE`` says; warns of secrets that everybody on this machine can see there."""
    found: dict[str, Json] = {}
    seen = []
    for pair in pairs:
        if pair.startswith("{"):  # the whole configuration as JSON
            whole = read_task_json(pair, where="--config")
            found |= whole
            seen += [name for name, value in whole.items() if _is_seen(fields.get(name, {}), value)]
    texts = read_pairs([pair for pair in pairs if not pair.startswith("{")], "--config")
    asked = [name for name, text in texts.items() if text == "-"]
    given = _from_stdin(asked, fields)
    for name, text in texts.items():
        field = fields.get(name, {})
        if name in given:
            text = given[name]
        elif _is_seen(field, text):
            seen.append(name)
        found[name] = _parsed(text) if field.get("type") in PARSED else text
    if seen:
        click.echo(
            f"{', '.join(seen)}: others on this machine can see what stands on a command line; "
            f"{seen[0]}=- asks for it instead",
            err=True,
        )
    return found


def _is_seen(field: Mapping[str, Any], value: Json) -> bool:
    return bool(field.get("secret") and value and not is_reference(value))


def _from_stdin(names: Sequence[str], fields: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The values of fields that were given as ``-``: asked for on a terminal, else of standard input, a line each."""
    if not names:
        return {}
    if sys.stdin.isatty():
        return {
            name: click.prompt(name, hide_input=bool(fields.get(name, {}).get("secret", True)), err=True)
            for name in names
        }
    text = without_line_end(sys.stdin.read())
    if len(names) == 1:
        return {names[0]: text}
    lines = text.splitlines()
    if len(lines) != len(names):
        raise InputError(f"standard input has {len(lines)} lines; one for each of {', '.join(names)} was expected")
    return dict(zip(names, lines, strict=True))


def _parsed(text: str) -> Json:
    try:
        return jsontext.loads(text)
    except ValueError:
        return text


def _from_file(file: str) -> dict[str, Json]:
    """The configuration in a file: the object itself, or its member ``config``."""
    found = read_task_file(Path(file))
    inner = found.get("config")
    if isinstance(inner, dict):
        more = sorted(found.keys() - {"config"})
        if more:
            raise InputError(f"{file}: beside config nothing was expected, but there is {more[0]!r}")
        return inner
    return found


def _tags(text: str | None) -> list[str] | None:
    return None if text is None else [tag.strip() for tag in text.split(",") if tag.strip()]
