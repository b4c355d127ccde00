"""A disk without room, under a real server: an error, the data as before, and work that goes on when there is room."""

from __future__ import annotations

import resource
import signal
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Place

pytestmark = [pytest.mark.acceptance]

STEPS = """
import anyio, os
from pathlib import Path
from aloma_py import step


@step(condition={"n": int, "seen": None})
async def see(data):
    data.seen = True


@step(condition={"gate": str, "passed": None})
async def wait_at_the_gate(data, connectors):
    answer = await connectors.ledger.write({"order": 1, "line": "charge"})
    Path(data.gate + ".waiting").touch()
    while not Path(data.gate).exists():
        await anyio.sleep(0.005)
    data.passed = answer.line
"""


def limit(pid: int, size: int) -> None:
    """No file of the process may grow beyond so many bytes: what a full disk looks like to it."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def test_a_full_disk_is_an_error_and_nothing_is_lost(place: Place, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    accepted: list[str] = []
    with place.serving(STEPS) as server, place.client() as client:

        def new(data: object) -> str:
            answer = client.ask("new_task", data=data)
            assert isinstance(answer, dict)
            accepted.append(answer["id"])
            return str(answer["id"])

        def show(task_id: str) -> dict[str, object]:
            task = client.ask("show_task", id=task_id)
            assert isinstance(task, dict)
            return task

        # Given a task whose step has made its call and is under way, and one that has ended
        first = new({"n": 0})
        list(client.follow(first))
        held = new({"gate": str(gate)})
        waiting = Path(f"{gate}.waiting")
        while not waiting.exists():
            show(held)

        # When there is no room left
        limit(server.pid, 1)
        with pytest.raises(RuntimeError, match="no room left"):
            new({"n": 1})
        gate.touch()  # the step ends now, and what it did cannot be stored yet
        with pytest.raises(RuntimeError, match="no room left"):
            client.ask("update_task", id=first, data={"n": 2})

        # Then what was there is as it was
        assert show(first)["data"] == {"n": 0, "seen": True}
        assert show(held)["state"] in ("pending", "running")

        # and with room again, the held task ends without a second call, and new ones are taken
        limit(server.pid, resource.RLIM_INFINITY)
        list(client.follow(held))
        assert show(held)["data"] == {"gate": str(gate), "passed": "charge"}
        assert list(place.ledger().values()) == [1]
        list(client.follow(new({"n": 3})))
        assert [show(task_id)["state"] for task_id in accepted] == ["done"] * 3
        server.send_signal(signal.SIGTERM)

    with sqlite3.connect(place.store) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM task").fetchone() == (3,)
    connection.close()
