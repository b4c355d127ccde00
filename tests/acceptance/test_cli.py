"""The command line over real processes: a server, its control socket, its signals and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.acceptance]

DEADLINE = 30.0  # seconds for what should take one

STEPS = '''
import os

from aloma_py import step


@step(condition={"order": "new"})
async def validate(data, log):
    log.info("looking")
    data.order = "valid"


@step(condition={"order": "valid"})
def ship(data):
    data.order = "shipped"


@step(condition={"gate": str, "passed": None})
def pass_gate(data, log):
    """Says that it has begun, and goes on when somebody lets it."""
    with open(data.gate + ".began", "w"):
        pass
    with open(data.gate + ".go"):
        pass
    data.passed = True


@step(condition={"passed": True, "after": None})
def after_gate(data):
    data.after = True
'''


@dataclass
class Installation:
    """A folder with steps and a store, and the command line over it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "aloma_py.cli", *words],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **more,
        )

    def __call__(self, *words: str, status: int = 0) -> str:
        """What a command printed: its stdout, or where it fails, its stderr."""
        process = self.start(*words)
        out, err = process.communicate(timeout=DEADLINE)
        assert process.returncode == status, (out, err)
        return err if status else out

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))

    @contextmanager
    def serving(self, *words: str) -> Iterator[Server]:
        """A server that is ready. It has ended when this is left, one way or another."""
        process = self.start("serve", *words)
        assert process.stderr is not None
        server = Server(process)
        try:
            server.wait_for("serving workspace")
            yield server
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=DEADLINE)

    def gate(self) -> Gate:
        return Gate(self.folder / "gate")

    def until(self, id: str) -> list[Any]:
        """The history of a task, when it has ended."""
        return [json.loads(line) for line in self("task", "log", id, "--follow", "--json").splitlines()]


@dataclass
class Server:
    process: subprocess.Popen[str]

    def wait_for(self, text: str) -> str:
        """The next line of its log that has ``text``."""
        assert self.process.stderr is not None
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if text in line:
                return line
        pytest.fail(f"the server ended without saying {text!r}:\n" + "".join(lines))

    def stop(self, status: int = 0) -> str:
        """Stop it gracefully; gives what it still said."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended(status)

    def ended(self, status: int = 0) -> str:
        out, err = self.process.communicate(timeout=DEADLINE)
        assert (self.process.returncode, out) == (status, ""), err
        return err


@dataclass
class Gate:
    """Two pipes through which a step says that it has begun, and is let go on."""

    path: Path

    def __post_init__(self) -> None:
        os.mkfifo(f"{self.path}.began")
        os.mkfifo(f"{self.path}.go")

    def wait(self) -> None:
        with Path(f"{self.path}.began").open():
            pass

    def open(self) -> None:
        with Path(f"{self.path}.go").open("w"):
            pass

    @property
    def task(self) -> str:
        return json.dumps({"gate": str(self.path)})


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    (tmp_path / "steps.py").write_text(STEPS)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ALOMA_")}
    return Installation(tmp_path, {**clean, "ALOMA_HTTP": "off"})


def test_a_server_runs_what_other_processes_give_it(place: Installation) -> None:
    # Given a task that was accepted before there was a server
    early = place.json("task", "new", "early", "-d", '{"order": "new"}')
    assert (early["state"], early["served"]) == ("pending", False)
    # When a server begins
    with place.serving("steps.py", "--verbose") as server:
        # Then it goes on with it, and with what it is given
        late = place.json("task", "new", "late", "-d", '{"order": "new"}')
        assert late["served"] is True
        for id in (early["id"], late["id"]):
            assert [entry["step"] for entry in place.until(id)] == ["validate", "ship"]
        assert json.loads(place("task", "show", late["id"], "--data")) == {"order": "shipped"}
        # And answers what is asked, with its steps
        assert place.json("task", "why", late["id"], "ship")["ran"][0]["wave"] == 2
        assert place.json("db", "info")["process"] == server.process.pid
        assert "there is no step 'shop'; did you mean 'ship'?" in place("step", "show", "shop", status=2)
        # And ends when it is asked to, leaving nothing behind
        assert "stopped" in server.stop()
    assert sorted(path.name for path in place.folder.glob("aloma.db*")) == ["aloma.db", "aloma.db.lock"]
    assert [task["state"] for task in place.json("task", "list")] == ["done", "done"]


def test_the_control_socket_is_for_this_user_alone(place: Installation) -> None:
    with place.serving("steps.py"):
        assert (place.folder / "aloma.db.sock").stat().st_mode & 0o777 == 0o600


def test_a_second_server_is_refused_and_the_first_named(place: Installation) -> None:
    with place.serving("steps.py") as server:
        message = place("serve", "steps.py", status=3)
        assert message.startswith(
            f"Error: the store {place.folder / 'aloma.db'} is in use by process {server.process.pid}"
        )
        # And the first one still answers
        assert place.json("task", "list") == []


def test_a_step_that_cannot_be_loaded_ends_the_server_and_keeps_the_old_sources(place: Installation) -> None:
    with place.serving("steps.py") as server:
        server.stop()
    (place.folder / "bad.py").write_text(
        'from aloma_py import step\n@step(condition={"a": {"$gtt": 1}})\ndef f(): ...\n'
    )
    assert "did you mean '$gt'?" in place("serve", "bad.py", status=2)
    # Without a path it serves what was served last
    with place.serving() as server:
        assert len(place.json("step", "list")) == 4


def test_after_kill_9_the_left_socket_is_none_and_the_task_goes_on(place: Installation) -> None:
    # Given a server that is killed while a step runs
    gate = place.gate()
    with place.serving("steps.py") as server:
        id = place.json("task", "new", "gate", "-d", gate.task)["id"]
        gate.wait()
        server.process.kill()
        server.process.wait(DEADLINE)
    assert (place.folder / "aloma.db.sock").is_socket()
    # Then commands use the store themselves
    assert place.json("task", "show", id)["state"] in ("pending", "running")
    assert place.json("task", "new", "more", "-d", '{"order": "new"}')["served"] is False
    # And the next server replaces the socket, and runs the step again
    with place.serving("steps.py"):
        gate.wait()
        gate.open()
        assert [entry["step"] for entry in place.until(id)] == ["pass_gate", "after_gate"]


def test_a_graceful_stop_lets_the_wave_end_and_begins_no_other(place: Installation) -> None:
    # Given a task in the middle of a step
    gate = place.gate()
    with place.serving("steps.py") as server:
        id = place.json("task", "new", "gate", "-d", gate.task)["id"]
        gate.wait()
        # When the server is told to stop
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("stopping")
        # Then it takes nothing new, but still answers
        refusal = place("task", "new", "late", "-d", "{}", status=3)
        assert refusal == "Error: the engine is stopping and takes nothing new; try again when it is running\n"
        assert place.json("task", "show", id)["state"] == "running"
        # And when the step has ended, it ends
        gate.open()
        server.ended()
    # With the step's changes, and the next step still to be run
    assert [entry["step"] for entry in place.json("task", "log", id)["entries"]] == ["pass_gate"]
    assert place.json("task", "show", id)["state"] == "running"
    with place.serving():
        assert [entry["step"] for entry in place.until(id)] == ["pass_gate", "after_gate"]


@pytest.mark.parametrize("words", [("--grace", "10ms"), ()])
def test_a_step_that_does_not_end_is_dropped(place: Installation, words: tuple[str, ...]) -> None:
    # Given a step that does not end
    gate = place.gate()
    with place.serving("steps.py", *words) as server:
        id = place.json("task", "new", "gate", "-d", gate.task)["id"]
        gate.wait()
        # When the time is over, or a second signal comes
        server.process.send_signal(signal.SIGINT)
        if not words:
            server.wait_for("stopping")
            server.process.send_signal(signal.SIGTERM)
        # Then the server ends, and the task is as it was
        assert "1 task was interrupted; it goes on where it was when" in server.ended()
    found = place.json("task", "show", id)
    assert (found["state"], found["data"], found["history_entries"]) == ("pending", json.loads(gate.task), 0)


def test_following_a_task_shows_what_happens_as_it_happens(place: Installation) -> None:
    gate = place.gate()
    with place.serving("steps.py"):
        id = place.json("task", "new", "gate", "-d", gate.task)["id"]
        gate.wait()
        place.json("task", "update", id, "-d", '{"note": 1}')
        follower = place.start("task", "log", id, "--follow", "--json")
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline())["kind"] == "update"
        gate.open()
        out, err = follower.communicate(timeout=DEADLINE)
        assert [json.loads(line)["step"] for line in out.splitlines()] == ["pass_gate", "after_gate"]
        assert (follower.returncode, err) == (0, "")


def test_a_follower_is_told_when_the_server_ends(place: Installation) -> None:
    gate = place.gate()
    with place.serving("steps.py", "--grace", "10ms") as server:
        id = place.json("task", "new", "gate", "-d", gate.task)["id"]
        gate.wait()
        place.json("task", "update", id, "-d", '{"note": 1}')
        follower = place.start("task", "log", id, "--follow", "--json")
        assert follower.stdout is not None
        follower.stdout.readline()
        server.stop()
        _, err = follower.communicate(timeout=DEADLINE)
        assert (follower.returncode, err) == (
            3,
            "Error: the server ended; the task goes on when the store is served next\n",
        )


def test_other_workspaces_of_the_store_are_reached_through_the_server(place: Installation) -> None:
    with place.serving("steps.py", "--workspace", "shop"):
        assert "there is no workspace 'shap'; did you mean 'shop'?" in place(
            "task", "list", "--workspace", "shap", status=2
        )
        assert place.json("task", "new", "order", "-d", '{"order": "new"}')["served"] is False
        assert place.json("task", "new", "order", "-d", '{"order": "new"}', "--workspace", "shop")["served"] is True
        assert [task["state"] for task in place.json("task", "list")] == ["pending"]


def test_a_store_in_a_deep_folder_has_a_socket_too(place: Installation) -> None:
    # Given a path that is too long for a socket's address
    deep = place.folder / ("deep" * 20) / ("deeper" * 10)
    deep.mkdir(parents=True)
    store = str(deep / "aloma.db")
    with place.serving("steps.py", "--store", store) as server:
        address = Path((deep / "aloma.db.sock").read_text().strip())
        assert address.parent.stat().st_mode & 0o777 == 0o700
        assert place.json("task", "new", "order", "-d", '{"order": "new"}', "--store", store)["served"] is True
        server.stop()
    assert not address.parent.exists()


def test_nonsense_on_the_socket_is_answered_and_hurts_nobody(place: Installation) -> None:
    with place.serving("steps.py") as server:
        for request, message in (
            (b"hello\n", "the request is no JSON"),
            (b"{}\n", 'the request is not {"workspace": text, "op": text, "args": object}'),
            (b'{"workspace": "default", "op": "erase", "args": {}}\n', "there is no operation 'erase'"),
            (b'{"workspace": "default", "op": "_task", "args": {}}\n', "there is no operation '_task'"),
            (b'{"workspace": "default", "op": "show_task", "args": {"uid": 1}}\n', "the operation show_task: "),
            (b'{"workspace": "default", "op": "follow", "args": {"id": "x"}}\n', "there is no task 'x'"),
        ):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(DEADLINE)
                connection.connect(str(place.folder / "aloma.db.sock"))
                connection.sendall(request)
                answer = json.loads(connection.makefile().readline())
            assert answer["error"]["family"] == "InputError"
            assert answer["error"]["message"].startswith(message)
        with socket.socket(socket.AF_UNIX) as connection:  # one that goes away in the middle of a request
            connection.connect(str(place.folder / "aloma.db.sock"))
            connection.sendall(b'{"workspace"')
        assert place.json("task", "list") == []
        assert "Traceback" not in server.stop()


def test_the_log_can_be_lines_of_json(place: Installation) -> None:
    place("task", "new", "lost", "-d", '{"nobody": "knows"}')
    process = place.start("serve", "steps.py", "--json")
    assert process.stderr is not None
    lines = []
    try:
        while not lines or lines[-1].get("action") != "task_ended":
            lines.append(json.loads(process.stderr.readline()))
        process.send_signal(signal.SIGTERM)
    finally:
        rest = process.communicate(timeout=DEADLINE)[1]
    lines += map(json.loads, rest.splitlines())
    assert lines[0]["message"].startswith("serving workspace 'default' with 4 steps; 1 task to go on with")
    ended = next(line for line in lines if line.get("action") == "task_ended")
    assert (ended["level"], ended["state"]) == ("warning", "attention")


def heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_ctrl_c_ends_a_run_with_130(place: Installation, kind: str) -> None:
    gate = place.gate()
    forever = "await anyio.sleep_forever()" if kind == "async def" else 'open(data.gate + ".go")'
    (place.folder / "slow.py").write_text(
        "import anyio\nfrom aloma_py import step\n\n"
        f'@step(condition={{"gate": str}})\n{kind} wait(data):\n'
        f'    with open(data.gate + ".began", "w"):\n        pass\n    {forever}\n'
    )
    # Whoever runs the tests in the background of a script has Ctrl-C ignored, and so would the command.
    process = place.start(
        "run", "slow.py", "-d", gate.task, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )
    gate.wait()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (130, "", "\ninterrupted\n")


def test_a_thread_that_never_ends_keeps_no_command(place: Installation) -> None:
    gate = place.gate()
    (place.folder / "stuck.py").write_text(
        "from aloma_py import step\n\n"
        '@step(condition={"gate": str, "$errors": None}, timeout="10ms")\n'
        'def wait(data):\n    open(data.gate + ".go")\n'
    )
    process = place.start("run", "stuck.py", "-d", gate.task)
    out, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert "ran longer than its time limit of 10 ms" in out


@pytest.mark.parametrize(
    "words",
    [
        ["task", "list"],
        ["task", "list", "--json"],
        ["task", "show", "task-"],
        ["task", "log", "task-"],
        ["step", "list", "steps.py"],
        ["run", "steps.py", "-d", '{"order": "new"}'],
    ],
    ids=" ".join,
)
def test_a_reader_that_has_gone_is_no_error(place: Installation, words: list[str]) -> None:
    place("task", "new", "order", "-d", "{}")
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [sys.executable, "-m", "aloma_py.cli", *words],
        cwd=place.folder,
        env=place.environment,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    _, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, err) == (1, "")


def test_a_file_that_changes_is_taken_in_while_it_is_developed(place: Installation) -> None:
    file = place.folder / "dev" / "one.js"
    file.parent.mkdir()
    text = "export const condition = {a: Number, b: null};\nexport const content = () => { data.b = 'before' };\n"
    file.write_text(text)
    process = place.start("dev", "dev")
    server = Server(process)
    try:
        server.wait_for("serving workspace")
        place.until(place.json("task", "new", "x", "-d", '{"a": 1}')["id"])
        file.write_text(text.replace("before", "after"))
        server.wait_for("one.js: taken in")
        id = place.json("task", "new", "x", "-d", '{"a": 1}')["id"]
        place.until(id)
        assert place.json("task", "show", id)["data"]["b"] == "after"
        file.write_text("export const condition = {")
        assert "the steps before go on" in server.wait_for("warning: one.js")
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE)
