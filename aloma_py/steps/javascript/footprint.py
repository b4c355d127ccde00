"""What a JavaScript step's code may read and write in the task's data, found from its source (SPEC §3, 5)."""

from __future__ import annotations

from collections.abc import Collection

from aloma_py.steps.definition import Footprint, Unknown
from aloma_py.steps.javascript.footprint_syntax import parse
from aloma_py.steps.javascript.footprint_walker import Walker


def javascript_footprint(
    source: str, *, typescript: bool = False, first_line: int = 1, libraries: Collection[str] = ()
) -> Footprint:
    """The paths that the step's code may read and write, and the places that make it count as everything.

    ``source`` is the text of a module; its entry is what it exports as ``content`` or as its default, whose first
    parameter is the data, as is the free name ``data``. What stands at the module's level is code of the step too.
    ``libraries`` are the namespaces of ``lib`` that there are. Nothing is run, and nothing is raised: a text that is no
    module is unknown.

    The answer errs on one side only: what is not among the paths, with no ``unknown`` place, is not touched. A path
    stands for all below it; positions in an array, and members whose name is computed, stand for the whole array or
    object. Beside members of the data there are ``$graph``; ``$task.name``, ``$task.tags`` and ``$task.expires``; and
    ``$files``.
    """
    try:
        root = parse(source.removeprefix("\ufeff"), typescript=typescript, first_line=first_line)
        if root is None:
            return Footprint(unknown=(Unknown(first_line, "", "the source cannot be parsed"),))
        return Walker(root, frozenset(libraries)).run()
    except RecursionError:
        return Footprint(unknown=(Unknown(first_line, "", "the source is nested too deeply"),))
