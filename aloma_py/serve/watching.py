"""Taking in the files of steps and libraries whenever they change."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aloma_py.errors import AlomaError
from aloma_py.serve.house import House

logger = logging.getLogger("aloma_py.serve")

SUFFIXES: Final = (".py", ".js", ".mjs", ".cjs", ".ts", ".mts")


async def watch_files(house: House) -> None:
    """Reload the home workspace when a file of its sources changes, for ever. What cannot be loaded is told."""
    from watchfiles import awatch  # here: only who develops needs it

    name = house.settings.workspace
    places = _places(await house.store.workspace(name).facts())
    if not places:
        logger.warning("there is no file to watch: the steps are from modules or the store")
        return
    async for changes in awatch(*places, debounce=200, step=50):
        files = sorted({Path(file).name for _, file in changes if file.endswith(SUFFIXES)})
        if not files:
            continue
        try:
            await house.reload(name)
        except AlomaError as error:
            logger.warning("%s: %s; the steps before go on", ", ".join(files), error)
        else:
            steps = len(house.served[name].steps.steps)
            logger.info("%s: taken in, %d step%s", ", ".join(files), steps, "" if steps == 1 else "s")


def _places(facts: Mapping[str, Any]) -> list[Path]:
    """The files and folders that a workspace is made of."""
    sources = [*(facts.get("sources") or []), *(facts.get("libraries") or {}).values()]
    return [Path(source) for source in sources if Path(source).exists()]
