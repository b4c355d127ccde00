"""``connectors.utils``: what steps need that is no service."""

from __future__ import annotations

from collections.abc import Callable

from aloma_py.connect.connector import CallContext, Connector
from aloma_py.errors import CallError
from aloma_py.hookspecs import hookimpl
from aloma_py.models import Json


class Utils:
    """``connectors.utils.sleep({"milliseconds": 500})``: waits on the engine's clock."""

    namespace = "utils"
    methods: tuple[str, ...] | None = ("sleep",)
    default: str | None = None
    recorded = False  # there is nothing to repeat: a run that starts again waits again

    async def call(self, method: str, arguments: Json, context: CallContext) -> Json:
        milliseconds = arguments.get("milliseconds") if isinstance(arguments, dict) else None
        if isinstance(milliseconds, bool) or not isinstance(milliseconds, (int, float)) or milliseconds < 0:
            raise CallError("utils.sleep takes {milliseconds: a number of at least 0}")
        await context.clock.sleep_until(context.clock.now() + round(milliseconds))
        return None


@hookimpl
def register_connectors(register: Callable[[Connector], None]) -> None:
    register(Utils())
