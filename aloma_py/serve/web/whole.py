"""Everything that is served over HTTP, put together for one house of workspaces."""

from __future__ import annotations

from starlette.types import ASGIApp

from aloma_py.serve.house import House
from aloma_py.serve.web.app import make_app
from aloma_py.serve.web.calls import calls_router
from aloma_py.serve.web.guard import Nobody


def web_app(house: House) -> ASGIApp:
    """The application of ``house``."""
    guard = Nobody()
    return make_app(
        house.find,
        guard,
        home=house.settings.workspace,
        is_ready=lambda: "the engine is stopping" if house.stopping else None,
        more=[calls_router(house.find, guard)],
    )
