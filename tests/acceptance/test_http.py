"""A server with its web side, in a process of its own: webhooks, keys, the API and commands over HTTP, kill -9."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

DEADLINE = 30.0  # seconds for what should take one

STEP = """
export const condition = { order: { id: Number }, stage: null };
export const content = async () => {
  data.trail = [...(data.trail ?? []), 'first'];
  data.stage = 'second';
};
"""
AFTER = """
export const condition = { stage: 'second', done: null };
export const content = async () => {
  data.trail = [...data.trail, 'second'];
  data.done = true;
};
"""


@dataclass
class Installation:
    """A folder with a store, and the command line over it."""

    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ALOMA_")}
        return {**kept, "PYTHONPATH": os.pathsep.join(sys.path), "ALOMA_HTTP": "127.0.0.1:0", **more}

    def __call__(self, *words: str, status: int = 0, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "aloma_py.cli", *words],
            cwd=self.folder,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert done.returncode == status, (done.stdout, done.stderr)
        return done.stderr if status else done.stdout

    def json(self, *words: str, **more: str) -> Any:
        return json.loads(self(*words, "--json", **more))

    @contextmanager
    def serving(self, **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """A server that is ready, and the address of its HTTP side."""
        process = subprocess.Popen(
            [sys.executable, "-m", "aloma_py.cli", "serve"],
            cwd=self.folder,
            env=self.environment(**more),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        drain = threading.Thread(target=process.stderr.read)
        try:
            for line in process.stderr:
                found = re.search(r"serving workspace .* at (http://\S+);", line)
                if found:
                    break
            else:
                pytest.fail("the server did not start")
            drain.start()
            yield process, found.group(1)
        finally:
            process.kill()
            process.wait(DEADLINE)
            if drain.ident is not None:
                drain.join(DEADLINE)
            process.stderr.close()


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    (tmp_path / "first.js").write_text(STEP)
    (tmp_path / "second.js").write_text(AFTER)
    return Installation(tmp_path)


def test_from_an_empty_folder_to_an_automation_that_others_can_reach(installation: Installation) -> None:
    place = installation
    with place.serving() as (process, address):
        key = place.json("key", "add", "ops", "--role", "admin")["key"]
        for name in ("first", "second"):
            place("step", "add", name, "-f", f"{name}.js")
        url = place.json("webhook", "add", "shop")["path"]
        with httpx2.Client(base_url=address) as stranger:
            assert stranger.get("/healthz").json() == {"status": "ok"}
            assert stranger.get("/api/v1/workspaces/default/tasks").status_code == 401
            accepted = stranger.post(url, json={"order": {"id": 1}})
            assert accepted.status_code == 202
        task = accepted.json()["task"]
        remote = {"ALOMA_URL": address, "ALOMA_KEY": key}
        log = place("task", "log", task, "--follow", **remote)
        assert "done" in log
        shown = place.json("task", "show", task, **remote)
        assert shown["data"]["trail"] == ["first", "second"] and shown["via"]["type"] == "webhook"
        assert [one["id"] for one in place.json("task", "list", "--state", "done", **remote)] == [task]
        assert "the API key is unknown" in place("task", "list", status=2, ALOMA_URL=address, ALOMA_KEY="alk_no")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0
    assert "cannot be reached" in place("task", "list", status=3, **remote)


def test_what_was_accepted_before_a_kill_ends_exactly_once(installation: Installation) -> None:
    place = installation
    chance = random.Random(7)
    accepted: list[str] = []
    with place.serving():
        for name in ("first", "second"):
            place("step", "add", name, "-f", f"{name}.js")
        url = place.json("webhook", "add", "shop")["path"]

    def post(client: httpx2.Client, number: int) -> None:
        try:
            answer = client.post(url, json={"order": {"id": number}})
        except httpx2.TransportError:
            return  # it was killed: nobody said that it was accepted
        assert answer.status_code in (202, 503), answer.text
        if answer.status_code == 202:
            accepted.append(answer.json()["task"])

    for round_number in range(3):
        with place.serving() as (process, address), httpx2.Client(base_url=address) as client:
            killer = threading.Timer(chance.uniform(0.05, 0.5), process.kill)
            killer.start()
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda n: post(client, n), range(round_number * 1000, round_number * 1000 + 150)))
            killer.join()
            process.wait(DEADLINE)
    assert len(set(accepted)) == len(accepted) > 50
    with place.serving():
        for task in accepted:
            place_log = _ended(place, task)
            assert [entry["step"] for entry in place_log["entries"] if entry["kind"] == "run"] == ["first", "second"]
            break
        states = {one["id"]: one["state"] for one in _all(place)}
    assert {states.get(task) for task in accepted} == {"done"}
    trails = {one["id"]: place.json("task", "show", one["id"])["data"]["trail"] for one in _all(place)[:20]}
    assert all(trail == ["first", "second"] for trail in trails.values())


def _ended(place: Installation, task: str) -> Any:
    place("task", "log", task, "--follow")
    return place.json("task", "log", task)


def _all(place: Installation) -> list[dict[str, Any]]:
    """All tasks, when none is under way any more."""
    while True:
        found: list[dict[str, Any]] = place.json("task", "list", "--limit", "1000")
        if all(one["state"] not in ("pending", "running") for one in found):
            return found


def test_commands_say_where_the_server_answers_whatever_their_own_settings_are(installation: Installation) -> None:
    mail = {"ALOMA_SMTP": "smtp://127.0.0.1:2525?starttls=no", "ALOMA_MAIL_FROM": "aloma@example.org"}
    with installation.serving(**mail) as (_, address):
        made = installation.json("webhook", "add", "people")
        assert made["url"] == address + made["path"]
        assert installation.json("webhook", "list", "--show-urls")[0]["url"] == made["url"]
        found = {one["what"]: one["text"] for one in installation.json("doctor", ALOMA_HTTP="127.0.0.1:9")}
        assert found["HTTP"] == f"the server answers at {address}"
        assert found["mail"].startswith("the server gives mails to 127.0.0.1:2525;")
    with installation.serving(ALOMA_PUBLIC_URL="https://aloma.example.com/"):
        assert installation.json("webhook", "show", "people")["url"] == "https://aloma.example.com" + made["path"]
    found = installation.json("webhook", "show", "people", ALOMA_HTTP="127.0.0.1:9")
    assert found["url"] == "http://127.0.0.1:9" + made["path"]
