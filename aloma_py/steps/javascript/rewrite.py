"""What steps and libraries have in common on the way from the author's text to the text that V8 gets."""

from __future__ import annotations

from tree_sitter import Node

from aloma_py.steps.javascript.awaits import insert_awaits
from aloma_py.steps.javascript.blank import blank, erase_statement, import_text, required_text
from aloma_py.steps.javascript.edits import Edits
from aloma_py.steps.javascript.floating import wrap_floating
from aloma_py.steps.javascript.natives import keep_natives_out, refuse_natives
from aloma_py.steps.javascript.syntax import FUNCTIONS, Source, field, statements, walk, words_of

_HOLD_AWAIT = FUNCTIONS | {"field_definition", "public_field_definition", "class_static_block"}


def rewrite(source: Source, edits: Edits, kept: list[Node]) -> str:
    """Rewrite the top-level statements ``kept``, erase the others; what must go before the first line.

    ``export`` is left to the caller, but for lists and what is exported from another module.
    """
    ids = {node.id for node in kept}
    comments = []
    for node in source.root.children:
        if node.type in ("comment", "html_comment"):
            comments.append(node)
        elif node.type == "hash_bang_line":
            edits.erase(node.start_byte, node.end_byte)
        elif node.id not in ids:
            erase_statement(edits, node)
    before = "".join(import_text(source, node) for node in kept if node.type == "import_statement")
    code = []
    for node in kept:
        if node.type == "export_statement" and is_list(node):
            name = node.child_by_field_name("source")
            if name is not None and "type" not in words_of(node):
                before += required_text(source, name) + ";"
            erase_statement(edits, node)
        else:
            code.append(node)
    blank(source, edits, code)
    _check_places(source, kept)
    code = [node for node in code if node.type != "import_statement"]
    insert_awaits(source, edits, code)
    wrap_floating(source, edits, code)
    keep_natives_out(source, edits, [*code, *comments])
    return before


def is_list(node: Node) -> bool:
    """Whether an export statement declares nothing: ``export {…}``, ``export * from …``, ``export type …``."""
    declaration = node.child_by_field_name("declaration")
    if declaration is not None:
        return declaration.type in (
            "ambient_declaration",
            "function_signature",
            "interface_declaration",
            "type_alias_declaration",
        )
    return node.child_by_field_name("value") is None


def finish(source: Source, edits: Edits, before: str, behind: str) -> str:
    """The text that V8 gets.

    All of it is in a block, as a file may have a ``const config`` of its own, which a parameter of that name would
    forbid directly in the function's body.
    """
    program = f"{{{before}{edits.result().decode()}\n{behind}}}"
    refuse_natives(program, source.file)
    return program


def names_used(source: Source, kept: list[Node]) -> frozenset[str]:
    """All names that are mentioned: variables, members, also ``a["name"]``."""
    kinds = ("identifier", "property_identifier", "shorthand_property_identifier")
    names = set()
    for top in kept:
        for node in walk(top):
            if node.type in kinds:
                names.add(source.read(node))
            elif node.type == "subscript_expression" and field(node, "index").type == "string":
                names.add(source.read(field(node, "index"))[1:-1])
    return frozenset(names)


def _check_places(source: Source, kept: list[Node]) -> None:
    """Refuse what is only understood at the top of a module, or not there, but would mean something else to V8."""
    for top in kept:
        for node in walk(top):
            kind = node.type
            if kind in ("import_statement", "export_statement") and node.id != top.id:
                raise source.fail(node, f"{kind.split('_')[0]} can only stand at the top of a file")
            if kind == "return_statement" and source.function_of(node) is None:
                raise source.fail(node, "return outside of a function")
            if kind == "call_expression" and field(node, "function").type == "import":
                raise source.fail(node, "import() is not there: shared code goes into a library (lib.…)")
            awaits = kind == "await_expression" or (kind == "for_in_statement" and "await" in words_of(node))
            if awaits and not any(parent.type in _HOLD_AWAIT for parent, _ in source.above(node)):
                raise source.fail(node, "await outside of an async function: a file is read at once")


def top_level(source: Source) -> list[Node]:
    """The file's statements, without comments."""
    return [node for node in statements(source.root.children) if node.type != "hash_bang_line"]
