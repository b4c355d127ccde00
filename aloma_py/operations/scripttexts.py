"""What stored texts may be, how they are put together, tried, and told."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from aloma_py.errors import AlomaError, InputError, LoadError, NotFoundError
from aloma_py.models import Json
from aloma_py.operations.answers.scripts import FileLibrary, ScriptVersionShown, StoredScript
from aloma_py.run.handles import iso
from aloma_py.steps import load_steps
from aloma_py.steps.javascript.define import SUFFIXES, Kind, ScriptFiles, ScriptText, read_text
from aloma_py.steps.javascript.files import read_library, read_steps, step_of_texts
from aloma_py.steps.options import check_name
from aloma_py.store.scripts import Put, Script, ScriptVersion

MAX_TEXT: Final = 1_000_000
"""The longest text of a script, in bytes of UTF-8."""

TYPE_WORDS: Final = ("String", "Number", "Boolean", "Array", "Object")
"""Texts that mean types in a condition that is given as JSON."""

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\]")
_NAMESPACE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_$]*")
_OURS: Final = ("versions", "clone")  # at the end of an address they mean something else


def read_kind(word: str) -> Kind:
    """``step`` or ``library``."""
    if word == "step":
        return "step"
    if word == "library":
        return "library"
    raise NotFoundError("kind of script", word, ["step", "library"])


def check_script(change: Put) -> None:
    """Refuse a name, suffix or text that cannot be stored. Raises :class:`~aloma_py.errors.InputError`."""
    (_check_step_name if change.kind == "step" else _check_namespace)(change.name)
    if change.suffix is not None and change.suffix not in SUFFIXES:
        raise InputError(f"the suffix {change.suffix!r} is none of JavaScript's: {', '.join(sorted(SUFFIXES))}")
    if change.text is None:
        return
    try:
        size = len(change.text.encode())
    except UnicodeEncodeError as error:
        raise InputError(f"the text has half a character at {error.start}; it must be Unicode") from None
    if size > MAX_TEXT:
        raise InputError(f"the text of a {change.kind} may have {MAX_TEXT} bytes, but this has {size}")


def _check_step_name(name: str) -> None:
    """A stored step's name is also the path of the file that it is pulled to."""
    check_name(name)
    parts = name.split("/")
    found = _CONTROLS.search(name)
    if found is not None:
        raise InputError(f"the name {name!r} has {found[0]!r} in it, which the name of a stored step cannot have")
    if any(not part.strip() or part.startswith((".", "_")) for part in parts):
        raise InputError(f"the name {name!r}: no part between slashes may be empty or begin with a dot or '_'")
    if parts[-1] in _OURS or "versions" in parts[1:]:
        raise InputError(f"the name {name!r}: a part after a slash cannot be one of {', '.join(_OURS)}")


def _check_namespace(name: str) -> None:
    if not _NAMESPACE.fullmatch(name) or len(name) > 100:
        raise InputError(f"a library's name must be letters, digits and _, beginning with a letter, not {name!r}")


def compose(
    name: str,
    text: str | None,
    condition: str | dict[str, Json] | None,
    content: str | None,
    *,
    needed: bool = False,
) -> str | None:
    """The text of a step: ``text``, or that of ``condition`` (an expression) and ``content`` (a function's inside).

    In a condition that is JSON the texts ``"String"``, ``"Number"``, ``"Boolean"``, ``"Array"`` and ``"Object"`` mean
    the types. ``None`` where nothing is given, which is an error where it is ``needed``.
    """
    if text is not None and (condition is not None or content is not None):
        raise InputError("text is the whole step; give either it or condition and content")
    if condition is None and content is None:
        if text is None and needed:
            raise InputError("the step is missing: give text, or condition and content")
        return text
    if condition is None or content is None:
        raise InputError("condition and content belong together; one of them is missing")
    expression = condition if isinstance(condition, str) else _types(condition)
    step_of_texts(name, expression, content, file=name)  # its errors count the lines of what was given
    expression = expression.strip().removesuffix(";").strip()
    inside = content.strip("\n")
    end = "\n;" if "//" in expression.rpartition("\n")[2] else ";"  # a comment would take it in
    return f"export const condition = {expression}{end}\n\nexport const content = async () => {{\n{inside}\n}};\n"


def _types(condition: dict[str, Json]) -> str:
    """The condition as JavaScript: the words for types as types; members of that name stay."""
    text = json.dumps(condition)
    if len(text) > 80:
        text = json.dumps(condition, indent=2)
    return re.sub(rf'"({"|".join(TYPE_WORDS)})"(?!\s*:)', r"\1", text)


def slips_in(condition: object, place: str = "") -> list[str]:
    """What looks like a misspelt type in a condition that is given as JSON: there it is only a text.

    A sentence each, with its place.
    """
    if isinstance(condition, dict):
        inside = [(f"{place}.{name}" if place else name, value) for name, value in condition.items()]
    elif isinstance(condition, list):
        inside = [(f"{place}[{at}]", value) for at, value in enumerate(condition)]
    elif isinstance(condition, str) and condition not in TYPE_WORDS:
        meant = condition if condition[:1].isupper() else condition.capitalize()
        near = difflib.get_close_matches(meant, TYPE_WORDS, 1, 0.8 if meant is condition else 1.0)
        return [f"{place}: {condition!r} is that text itself; the type is {near[0]!r}"] if near else []
    else:
        return []
    return [slip for where, value in inside for slip in slips_in(value, where)]


def is_disabled(old: Script, text: str | None) -> bool:
    """Whether the step's text itself says that it is disabled."""
    try:
        found = read_steps(old.text if text is None else text, old.name + old.suffix, default_name=old.name)
    except LoadError:  # told better when it is tried
        return False
    return any(step.options.get("enabled") is False for step in found)


def load_texts(facts: Mapping[str, Any], workspace: str, texts: Sequence[ScriptText]) -> None:
    """Load the workspace of ``facts`` with these texts, to see whether that can be done; the caller's thread waits.

    Raises :class:`~aloma_py.errors.LoadError`.
    """
    sources = facts.get("sources") or []
    libraries = facts.get("libraries") or None
    if sources or any(text.kind == "step" for text in texts):
        load_steps(list(sources), name=workspace, libraries=libraries, texts=texts).unload()
        return
    scripts = ScriptFiles()
    for text in texts:
        scripts.add_text(text)
    scripts.define()


def script_facts(script: Script, *, text: bool = False) -> StoredScript:
    """A stored script as JSON."""
    shown: StoredScript = {
        "name": script.name,
        "source": "stored",
        "suffix": script.suffix,
        "version": script.version,
        "enabled": script.enabled,
        "description": script.description or "",
        "created_at": iso(script.created_at),
        "updated_at": iso(script.updated_at),
        "updated_by": script.updated_by,
    }
    return {**shown, "text": script.text} if text else shown


def version_facts(one: ScriptVersion) -> ScriptVersionShown:
    return {"n": one.n, "version": one.version, "at": iso(one.at), "by": one.by, "deleted": one.text is None}


def functions_of(text: str, file: str) -> dict[str, str]:
    """The exported functions of a library with their doc comments; none where the text cannot be read."""
    try:
        return read_library(text, file).functions
    except AlomaError:
        return {}


def file_libraries(facts: Mapping[str, Any]) -> list[FileLibrary]:
    """The libraries of files: ``{name, source, place, functions}``; the functions are those in JavaScript."""
    return [
        {"name": name, "source": "file", "place": str(place), "functions": _functions_in(Path(str(place)))}
        for name, place in (facts.get("libraries") or {}).items()
    ]


def _functions_in(place: Path) -> dict[str, str]:
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    found: dict[str, str] = {}
    for file in files:
        if file.suffix in SUFFIXES and file.is_file():
            try:
                found |= functions_of(read_text(file), str(file))
            except LoadError:
                continue
    return found
