"""Operations on steps: what there are, and what their conditions say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aloma_py.conditions import explain
from aloma_py.errors import InputError
from aloma_py.history import rows_to_json
from aloma_py.intake import check_data
from aloma_py.match.table import StepTable
from aloma_py.models import Json, Limits
from aloma_py.operations.answers.scripts import CheckAnswer, FileStep, JudgedStep, ListedStep, StoredStep
from aloma_py.operations.registry import operation
from aloma_py.operations.roles import Role
from aloma_py.operations.scripttexts import script_facts
from aloma_py.operations.sites import Site
from aloma_py.steps import StepDefinition, StepSet, describe
from aloma_py.steps.javascript.define import ScriptText
from aloma_py.steps.show import StepShown
from aloma_py.store.scripts import ScriptShelf


class StepOperations:
    """What can be asked of a workspace's steps."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._shelf = ScriptShelf(site.store, site.workspace)

    @operation(Role.VIEWER, "GET /steps")
    async def list_steps(self) -> list[ListedStep]:
        """The steps in the order in which they are tried; ``source`` says whether it is ``stored`` or a ``file``."""
        table = await self.site.table()
        stored = set(self._shelf.names("step"))
        return [{**one, "source": "stored" if one["name"] in stored else "file"} for one in step_list(table.all)]

    @operation(Role.VIEWER, "GET /steps/{name:path}")
    async def show_step(self, name: str) -> FileStep | StoredStep:
        """A step: what it matches, its options, what its code may read and write, its text."""
        step = (await self.site.table()).named(name)
        stored = self._shelf.find("step", name)
        if stored is None:
            return FileStep(**describe(step), source="file", text=step.source)
        facts = script_facts(stored)
        # What the engine works with, then what is stored: they differ only while a change is being brought in.
        return {
            **describe(step),
            "version": facts["version"],
            "description": stored.description or step.description,
            "source": facts["source"],
            "text": stored.text,
            "suffix": facts["suffix"],
            "enabled": facts["enabled"],
            "created_at": facts["created_at"],
            "updated_at": facts["updated_at"],
            "updated_by": facts["updated_by"],
        }

    @operation(Role.VIEWER, "POST /check")
    async def check_step(self, data: dict[str, Json], step: str | None = None) -> CheckAnswer:
        """What every step's condition (or that of ``step``) says of ``data``, leaf by leaf."""
        table = await self.site.table()
        return await self.site.judge(lambda: check_steps(table, data, step, self.site.engine.limits))


def step_list(steps: Sequence[StepDefinition]) -> list[StepShown]:
    """Every step as JSON, in the order in which they are tried; disabled ones at the end."""
    table = StepTable(steps)
    disabled = [step for step in table.all if not step.enabled]
    return [describe(step) for step in (*table.ranked, *disabled)]


def check_steps(table: StepTable, data: dict[str, Json], step: str | None, limits: Limits) -> CheckAnswer:
    """``{steps: [{step, matches, enabled, rows}], order}``: ``order`` are those that match, in the order tried.

    With ``step`` only that one is judged. Raises :class:`~aloma_py.errors.InputError` for an unknown step, or data that
    cannot be a task's.
    """
    check_data(data, limits)
    chosen = (
        [table.named(step)] if step is not None else [*table.ranked, *(one for one in table.all if not one.enabled)]
    )
    judged: list[JudgedStep] = []
    for one in chosen:
        explanation = explain(one.condition, data)
        judged.append(
            {
                "step": one.name,
                "condition": one.condition.source,
                "matches": explanation.matched,
                "enabled": one.enabled,
                "rows": rows_to_json(explanation.rows),
            }
        )
    order = [one["step"] for one in judged if one["matches"] and one["enabled"]]
    return {"steps": judged, "order": order}


def load_again(facts: Mapping[str, Any], workspace: str, texts: Sequence[ScriptText] = ()) -> StepSet:
    """The steps of the sources that the workspace was last served from and of ``texts``, which are no files.

    ``InputError`` where there are none.
    """
    from aloma_py.steps import load_steps

    sources = facts.get("sources") or []
    if not sources and not any(text.kind == "step" for text in texts):
        raise InputError(
            f"the workspace {workspace!r} has no steps yet: give them with --steps PATH, "
            "or serve them once with `aloma-py serve PATH`"
        )
    return load_steps(list(sources), name=workspace, libraries=facts.get("libraries") or None, texts=texts)
