"""The API of a real server, asked at random by what its OpenAPI says (schemathesis): answers are as they are described,
none is a failure of the server, and nobody sees or changes anything of another tenant.

``FUZZ_SECONDS=600`` explores for that long for each caller, with another seed each time; without it a few hundred
requests are made, always the same.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from aloma_py.operations import ALL, Role

SECONDS = int(os.environ.get("FUZZ_SECONDS", "0"))

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(SECONDS + 300 if SECONDS else 180)]

DEADLINE = 30.0
SENTINEL = "heronbytheweir"
OURS, THEIRS = "ours", "theirs"
STEP = f"""
export const condition = {{ n: Number, done: null }};
export const content = async () => {{
  console.log('{SENTINEL}');
  audit.reference({{ id: '{SENTINEL}', name: '{SENTINEL}' }});
  task.visualize({{ type: 'data', name: '{SENTINEL}', data: {{ of: '{SENTINEL}' }} }});
  data.done = '{SENTINEL}';
}};
"""
PLAIN = STEP.replace(SENTINEL, "plainly")
NAMES = ("plainly", "step-plainly", "S_plainly")
"""What the tenant's own things are called."""

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
    "says_what_is_wrong",
)
ENDLESS: Final = ("follow_events", "follow_task")
"""Streams, which have tests of their own."""

REACHING_OUT: Final = ("check_connector", "test_notification", "set_source", "plan_source", "sync_source")
"""Operations that have the server ask others, whose addresses would be made up."""


class Server:
    """A server in ``folder``; ``api`` is the address of its API while it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.api = ""

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ALOMA_")}
        return {**kept, "PYTHONPATH": os.pathsep.join(sys.path), "ALOMA_HTTP": "127.0.0.1:0"}

    def command(self, *words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "aloma_py.cli", *words, "--json"],
            cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=DEADLINE,
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout, done.stderr)
        return json.loads(done.stdout)

    @contextmanager
    def running(self) -> Iterator[None]:
        process = subprocess.Popen(
            [sys.executable, "-m", "aloma_py.cli", "serve"],
            cwd=self.folder, env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        said: list[str] = []
        drain = threading.Thread(target=lambda: said.extend(process.stderr or ()))
        try:
            for line in process.stderr:
                found = re.search(r"serving workspace .* at (http://\S+);", line)
                if found:
                    self.api = f"{found.group(1)}/api/v1"
                    break
            else:
                pytest.fail("the server did not start")
            drain.start()
            yield
            assert process.poll() is None, "".join(said[-40:])
        finally:
            process.terminate()
            process.wait(DEADLINE)
            if drain.ident is not None:
                drain.join(DEADLINE)
            process.stderr.close()
        assert process.returncode == 0, "".join(said[-40:])
        assert not [line for line in said if "Traceback" in line], "".join(said)

    def rows_of(self, workspace: str) -> dict[str, list[Any]]:
        """Everything that the store has of a workspace, by table."""
        with closing(sqlite3.connect(f"file:{self.folder / 'aloma.db'}?mode=ro", uri=True)) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            found: dict[str, list[Any]] = {}
            for table in tables:
                columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
                of = {
                    "workspace": "workspace = ?1",
                    "task": "task IN (SELECT id FROM task WHERE workspace = ?1)",
                    "schedule": "schedule IN (SELECT id FROM schedule WHERE workspace = ?1)",
                    "webhook": "webhook IN (SELECT id FROM webhook WHERE workspace = ?1)",
                }
                which = "name = ?1" if table == "workspace" else next((of[one] for one in of if one in columns), None)
                if which is not None:
                    rows = connection.execute(f"SELECT * FROM {table} WHERE {which}", (workspace,)).fetchall()
                    found[table] = sorted(rows, key=repr)
            return found


def fill(api: httpx2.Client, workspace: str, text: str, step: str) -> dict[str, str]:
    """Something of every kind with ``text`` in it; gives the ids that others might guess."""
    place = f"/api/v1/workspaces/{workspace}"

    def ask(verb: str, path: str, body: dict[str, Any]) -> Any:
        answer = api.request(verb, f"{place}{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    ask("PATCH", "", {"title": text, "tags": [text]})
    ask("POST", "/steps", {"name": f"step-{text}", "text": step})
    ask("POST", "/libraries", {"name": text, "text": f"/** {text} */\nexport const f = () => '{text}';"})
    ask("PUT", f"/variables/{text}", {"value": text, "description": text})
    ask("PUT", f"/secrets/S_{text}", {"value": text, "description": text})
    hook = ask("POST", "/webhooks", {"name": text, "options": {"signature": "bearer"}, "secret": text})
    schedule = ask("POST", "/schedules", {"name": text, "cron": "0 2 * * *", "data": {"of": text}, "tags": [text]})
    outside = {"base_url": f"http://127.0.0.1:9/{text}"}
    ask("POST", "/connectors", {"kind": "http", "name": text, "namespace": text, "config": outside, "tags": [text]})
    task = ask("POST", "/tasks", {"data": {"n": 1, "of": text}, "name": text, "tags": [text]})
    for _ in range(1000):
        if ask("GET", f"/tasks/{task['id']}", {})["state"] == "done":
            break
    else:
        pytest.fail("the task did not end")
    return {"task": task["id"], "webhook": hook["id"], "schedule": schedule["id"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str], list[str]]]:
    """Two tenants, each with something of every kind, and an admin of the account."""
    server = Server(tmp_path_factory.mktemp("fuzz"))
    keys = {"admin": server.command("key", "add", "ops", "--role", "admin")["key"]}
    with server.running(), httpx2.Client(base_url=server.api.removesuffix("/api/v1"), timeout=DEADLINE) as api:
        api.headers["Authorization"] = f"Bearer {keys['admin']}"
        for name in (OURS, THEIRS):
            assert api.post("/api/v1/workspaces", json={"name": name}).status_code == 201
            made = api.post("/api/v1/keys", json={"name": name, "role": "developer", "workspace": name})
            keys[name] = made.json()["key"]
        known = [*fill(api, THEIRS, SENTINEL, STEP).values(), *fill(api, OURS, "plainly", PLAIN).values(), *NAMES]
    yield server, keys, known


def went_well(server: Server, key: str) -> set[str]:
    """The routes of a workspace that have answered at least one request with what it asked for."""
    text = httpx2.get(f"{server.api}/metrics", headers={"Authorization": f"Bearer {key}"}).text
    lines = re.findall(r'http_requests_total{method="(\w+)",route="/workspaces/{workspace}([^"]*)",status="2', text)
    return {f"{verb} {path or '/'}" for verb, path in lines}


def explore(
    server: Server, key: str, known: list[str], *more: str, workspaces: list[str], also: tuple[str, ...] = ()
) -> None:
    """Ask the API as whoever has the key. ``known`` are ids and names to try beside made-up ones."""
    config = server.folder / "schemathesis.toml"
    quoted = {name: json.dumps(values) for name, values in (("workspaces", workspaces), ("known", known))}
    config.write_text(
        f"dictionaries.workspaces.values = {quoted['workspaces']}\n"
        f"dictionaries.known.values = {quoted['known']}\n"
        "[parameters]\n"
        '"path.workspace" = { dictionary = "workspaces", probability = 0.95 }\n'
        '"path.id" = { dictionary = "known", probability = 0.5 }\n'
        '"path.name" = { dictionary = "known", probability = 0.5 }\n'
        f'[auth.openapi.key]\nbearer = "{key}"\n'
        "[phases.stateful]\ngeneration.max-examples = 20\n"
        "[checks]\nenabled = false\n"
        + "".join(f"{check}.enabled = true\n" for check in (*CHECKS, *also))
        + 'negative_data_rejection.expected-statuses = ["4XX", 503]\n'
        # each line of it has an answer of its own
        '[[operations]]\ninclude-operation-id = "new_tasks"\nchecks.negative_data_rejection.enabled = false\n'
    )
    how = (
        ["--max-time", str(SECONDS), "--generation-database", "none"]
        if SECONDS
        else ["--generation-deterministic", "--seed", "7"]
    )
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{server.api}/openapi.json",
        "--max-examples", "30" if SECONDS else "3", *how, "--no-color",
        "--request-timeout", "10", "--suppress-health-check", "all",
        "--warnings", "off", "--continue-on-failure",
    ]  # fmt: skip
    for name in (*ENDLESS, *REACHING_OUT):
        command += ["--exclude-operation-id", name]
    command += more
    environment = {
        **os.environ, "SCHEMATHESIS_HOOKS": "fuzz_hooks", "FUZZ_SENTINEL": SENTINEL,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }  # fmt: skip
    done = subprocess.run(
        command, cwd=server.folder, env=environment, capture_output=True, text=True, timeout=SECONDS + 200
    )
    if os.environ.get("FUZZ_REPORT"):
        with Path(os.environ["FUZZ_REPORT"]).open("a") as report:
            report.write(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_a_tenant_learns_and_changes_nothing_of_another(server: tuple[Server, dict[str, str], list[str]]) -> None:
    place, keys, known = server
    before = place.rows_of(THEIRS)
    assert SENTINEL in repr(before["task"]) and before["script"] and before["firing"] == []
    with place.running():
        also = ("tells_nothing_of_another_tenant",)
        explore(place, keys[OURS], known, also=also, workspaces=[OURS, OURS, OURS, THEIRS])
        answered = went_well(place, keys["admin"])
    assert place.rows_of(THEIRS) == before
    # It was not all refused: of most of what a tenant may ask for, something was answered.
    asked = {facts.route for facts in ALL.values() if facts.route and not facts.account and facts.least < Role.ADMIN}
    asked -= {ALL[name].route for name in REACHING_OUT}
    assert len(answered) > 0.7 * len(asked), {*asked} - answered


def test_an_admin_of_the_account_is_answered_as_is_described(server: tuple[Server, dict[str, str], list[str]]) -> None:
    place, keys, known = server
    # What is in a workspace was asked by the tenant; it is asked again where there is time.
    only = () if SECONDS else ("--include-path-regex", r"^/api/v1/(?!workspaces/\{)")
    with place.running():
        explore(place, keys["admin"], known, *only, workspaces=[OURS, "default", "another"])
