"""The first administrator, saved servers, tasks that are watched, and a backup that comes back: over real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .test_cli import DEADLINE, STEPS, Installation

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    (tmp_path / "steps.py").write_text(STEPS)
    (tmp_path / "password").write_text("a heron by the weir\n")
    more = {"ALOMA_HTTP": "127.0.0.1:0", "XDG_CONFIG_HOME": str(tmp_path / "config")}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ALOMA_")}
    return Installation(tmp_path, {**clean, **more})


@contextmanager
def drained(process: subprocess.Popen[str]) -> Iterator[None]:
    """What the server still says is read, so that it never waits for its reader."""
    assert process.stderr is not None
    reader = threading.Thread(target=process.stderr.read)
    reader.start()
    try:
        yield
    finally:
        process.kill()
        reader.join(DEADLINE)


def test_the_command_that_a_new_server_names_makes_its_administrator(place: Installation) -> None:
    with place.serving("steps.py") as server:
        words = re.search(r"aloma-py (setup http\S+ --token als_\S+)", server.wait_for("or its first administrator"))
        assert words is not None
        setup = words.group(1).split()
        with drained(server.process):
            # When the token is another, nobody is made
            wrong = [*setup[:-1], "als_x", "--email", "ada@example.org", "--password-file", "password"]
            assert "not the setup token" in place(*wrong, status=2)
            made = place.json(*setup, "--email", "Ada@example.org", "--name", "Ada", "--password-file", "password",
                              "--profile", "shop")  # fmt: skip
            assert (made["profile"], made["who"]["email"], made["who"]["role"]) == ("shop", "ada@example.org", "admin")
            # Then the server is saved with a key of its own, which may do everything
            assert (place.folder / "config/aloma-py/profiles.json").stat().st_mode & 0o777 == 0o600
            account = place.json("account", "--profile", "shop")
            assert account["who"]["kind"] == "key" and account["people"] == 1
            assert [(one["name"], one["role"]) for one in account["workspaces"]] == [("default", "admin")]
            # And who may only look at one workspace is told of that one
            key = place.json("key", "add", "guest", "--role", "viewer", "--in", "default")["key"]
            guest = place.json("company", "--url", made["url"], "--key", key)
            assert (guest["who"]["role"], guest["people"]) == (None, None)
            assert guest["workspaces"] == [{"name": "default", "state": None, "role": "viewer", "tasks": None}]
            # And the server has somebody now
            again = place(*setup, "--email", "eve@example.org", "--password-file", "password", status=2)
            assert again.startswith(f"Error: the server {made['url']} has people or keys already: `aloma-py auth ")
            # And another key of it is saved as the login of old does
            login = place.start("login", made["url"], "--profile", "guest", "--json", stdin=subprocess.PIPE)
            out, err = login.communicate(key, timeout=DEADLINE)
            assert (json.loads(out)["profile"], json.loads(out)["who"]["name"], err) == ("guest", "guest", "")
            assert place.json("--profile", "guest", "task", "list") == []


def test_tasks_are_watched_as_they_change_here_and_elsewhere(place: Installation) -> None:
    with place.serving("steps.py") as server:
        url = server.wait_for("or its first administrator").partition("setup ")[2].split()[0]
        with drained(server.process):
            remote = ["--url", url, "--key", place.json("key", "add", "me", "--role", "viewer")["key"]]
            watchers = [place.start("task", "list", "--watch", "--json", *words) for words in ([], remote)]
            try:
                id = place.json("task", "new", "first", "-d", '{"order": "new"}')["id"]
                for watcher in watchers:
                    assert watcher.stdout is not None
                    change = {"state": None}
                    while change["state"] != "done":
                        change = json.loads(watcher.stdout.readline())
                        assert change["id"] == id
                    watcher.send_signal(signal.SIGINT)
                    out, err = watcher.communicate(timeout=DEADLINE)
                    assert (watcher.returncode, out, err) == (130, "", "\ninterrupted\n")
            finally:
                for watcher in watchers:
                    watcher.kill()
                    watcher.communicate(timeout=DEADLINE)


def test_a_backup_is_restored_when_the_server_has_stopped(place: Installation) -> None:
    with place.serving("steps.py") as server, drained(server.process):
        done = place.json("task", "new", "first", "-d", '{"order": "new"}')["id"]
        place("db", "backup", "monday.db")
        place.until(place.json("task", "new", "second", "-d", '{"order": "new"}')["id"])
        # While it is served, nothing is changed
        assert f"is in use by process {server.process.pid}" in place("db", "restore", "monday.db", status=3)
    # When the server was killed, its last words are in the log beside the store, and are kept with it
    kept = place.json("db", "restore", "monday.db")["kept"]
    assert place("--store", kept, "db", "verify").startswith("sound: 2 tasks")
    assert place("db", "verify").startswith("sound: 1 tasks")
    # And it goes on from there when it is served
    with place.serving("steps.py") as server, drained(server.process):
        assert place.until(done)[-1]["step"] == "ship"
