"""Where a name of the workspace stands: a library, a variable, a secret, a connector. As far as texts show it."""

from __future__ import annotations

import re

from aloma_py.connect.references import references_in
from aloma_py.errors import InputError
from aloma_py.operations.connectorfacts import configured_of
from aloma_py.operations.sites import Site


def word(name: str) -> re.Pattern[str]:
    """Finds the name where it stands by itself."""
    return re.compile(rf"(?<![\w$]){re.escape(name)}(?![\w$])")


def texts_of(site: Site) -> dict[tuple[str, str], str]:
    """The texts of steps, and what configurations of connectors refer to, by kind and name."""
    configured = configured_of(site.store, site.workspace)
    return {
        **{("step", step.name): step.source for step in site.engine.table.all},
        **{("connector", one.namespace): " ".join(references_in(one.config)) for one in configured},
    }


async def named_in(site: Site, name: str) -> list[str]:
    """The steps and connectors that name it, as ``step 'greet'``; none where the workspace cannot be loaded."""
    try:
        await site.table()
    except InputError:
        return []
    found = word(name)
    return [f"{kind} {one!r}" for (kind, one), text in texts_of(site).items() if found.search(text)]
