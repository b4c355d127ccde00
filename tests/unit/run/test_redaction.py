"""A secret is in no log, error, history, recorded call, audit trail, picture, result, name or tag, in no form."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloma_py import Workspace
from aloma_py.clock import VirtualClock
from aloma_py.connect.connector import CallContext
from aloma_py.errors import CallError
from aloma_py.intake import new_task
from aloma_py.models import TaskState
from aloma_py.operations import Operations, Site
from aloma_py.outcome import Outcome, outcome_to_json, read_outcome
from aloma_py.run.redaction import HIDDEN, HideSecrets, Redactor
from aloma_py.scheduler import Scheduler
from aloma_py.settings import Settings
from aloma_py.store import SQLiteStore

SECRET = 'pä/ss+w&rd "7"?>~'
OTHER = "zzz-another-secret-zzz"


def forms_of(secret: str) -> list[str]:
    """As a step could write it; made here by other means than those that are tested."""
    content = secret.encode()
    return [
        secret,
        f"<{secret}>",
        base64.b64encode(content).decode(),
        base64.b64encode(content).decode().rstrip("="),
        base64.urlsafe_b64encode(content).decode(),
        *(base64.b64encode(before.encode() + content + b": x").decode() for before in ("", "u", "us", "use", "user:")),
        *(base64.urlsafe_b64encode(before.encode() + content).decode() for before in ("a", "ab")),
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
        json.dumps({"token": secret}),
        json.dumps({"token": secret}, ensure_ascii=False),
        json.dumps(json.dumps([secret])),
        repr([secret]),
        repr(content),
    ]


def traces_of(secret: str) -> list[str]:
    """What must be found nowhere: texts that cannot come from anything but the secret."""
    content = secret.encode()
    return [
        secret,
        json.dumps(secret)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        # Whatever comes before and after, these characters hold bits of the secret alone.
        *(base64.b64encode(bytes(n) + content).decode()[4:-4] for n in range(3)),
        *(base64.urlsafe_b64encode(bytes(n) + content).decode()[4:-4] for n in range(3)),
    ]


def traces_in(folder: Path, traces: Sequence[str]) -> list[tuple[str, str]]:
    """(file, trace) for every trace in the bytes of the folder's files."""
    contents = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    return [(name, trace) for name, content in contents.items() for trace in traces if trace.encode() in content]


# ── one value ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", forms_of(SECRET))
def test_every_form_is_found(form: str) -> None:
    redact = Redactor([OTHER, SECRET])
    found = redact({"a": [f"before {form} after"], form: 1})
    text = json.dumps(found, ensure_ascii=False)
    assert HIDDEN in text
    assert not [trace for trace in traces_of(SECRET) if trace in text]
    assert found["a"][0].startswith("before ")
    assert found["a"][0].endswith(" after")


@given(
    st.text(min_size=6, max_size=40).filter(lambda text: len(text.strip()) >= 6), st.binary(max_size=7), st.booleans()
)
def test_base64_of_a_longer_text_has_nothing_left_of_the_secret(secret: str, before: bytes, safe: bool) -> None:
    encode = base64.urlsafe_b64encode if safe else base64.b64encode
    text = encode(before + secret.encode(errors="replace") + b"tail").decode()
    if "?" in secret.encode(errors="replace").decode() and "?" not in secret:
        return  # half a character cannot be encoded
    left = Redactor([secret])(text).split(HIDDEN)
    assert len(left) > 1
    assert len("".join(left)) <= len(encode(before + b"tail")) + 2


@given(st.lists(st.text("abc", min_size=6, max_size=9), min_size=1, max_size=30), st.text("abc", max_size=60))
def test_many_secrets_that_overlap_leave_nothing_of_any(secrets: list[str], text: str) -> None:
    for redact in (Redactor(secrets), Redactor(secrets[:3], also=Redactor(secrets[3:]))):
        left = redact.text(text)
        assert not any(secret in left.replace(HIDDEN, "|") for secret in secrets)
        assert (left == text) == (not any(secret in text for secret in secrets))
        assert redact.holds([text]) == any(secret in text for secret in secrets)


@given(st.text("ab\\\"'/\n\té😀", min_size=6, max_size=20), st.lists(st.booleans(), max_size=4))
def test_json_in_json_in_json_is_found_however_deep(secret: str, levels: list[bool]) -> None:
    if len(secret.strip()) < 6:
        return
    text, expected = f"<{secret.strip()}>", f"<{HIDDEN}>"
    for as_ascii in levels:
        text, expected = (json.dumps({"a": one}, ensure_ascii=as_ascii) for one in (text, expected))
    left = Redactor([secret])(text)
    assert left.replace("\\", "") == expected.replace("\\", "")


def test_no_text_makes_it_slow() -> None:
    redact = Redactor(['\\\\a\\"\\', '"quoted"', "aaaaaaaaaa", "\x01\x02\x03\x04\x05\x06"])
    began = time.process_time()
    for text in ("\\" * 100_000, "a" * 20_000, '\\"' * 50_000, "=" * 100_000):
        redact(text)
    assert time.process_time() - began < 3, "about 0.1 s here"


def test_secrets_of_several_lines_are_found_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nshort\nanotherlineofthekey=\n-----END KEY-----\n"
    redact = Redactor([key])
    assert redact("got MIIEvQIBADANBgkqhkiG!") == f"got {HIDDEN}!"
    assert redact(f"[{key}]") == f"[{HIDDEN}]"
    assert redact("a short -----BEGIN KEY----- line") == "a short -----BEGIN KEY----- line"


def test_a_secret_of_digits_is_found_as_a_number_too() -> None:
    redact = Redactor(["00481516"])
    assert redact([481516, 1, True, 4815, "00481516", 10**400]) == [HIDDEN, 1, True, 4815, HIDDEN, 10**400]
    assert Redactor(["000000"])([0, 100]) == [0, 100]


def test_without_secrets_nothing_is_touched_and_nothing_is_looked_for() -> None:
    redact = Redactor([])
    assert not redact
    assert redact({"a": [1, "b"]}) == {"a": [1, "b"]}


def test_fifty_secrets_are_quick() -> None:
    redact = Redactor([f"{n:02}-{base64.b64encode(bytes([n, 255 - n] * 9)).decode()}" for n in range(50)])
    text = "an ordinary line of a log, with 12345 numbers and/or signs; " * 3_500
    began = time.process_time()
    assert redact(text) == text
    assert time.process_time() - began < 1, "about 0.03 s for 200 kB here"


# ── everything that a step can write ────────────────────────────────────────────────────────────────────────────────

PYTHON = """
import logging

from aloma_py import step


@step(condition={"start": True}, priority=9)
async def plant(data, task, log, audit, connectors, user):
    secret = task.config("SECRET")
    for form in forms(secret):
        log.info("log", form, {"deep": [form]})
        print("print", form)
        audit.log("audit " + form, {form: [form]})
        audit.reference({"id": form, "name": form, "url": "https://x.example/?t=" + form})
        task.visualize(type="table", name=form[:150], data={form: [{"x": form}]}, title=form)
    print("unfinished " + secret, end="")
    try:
        raise ValueError(secret + " of mine")
    except ValueError:
        logging.getLogger("mine").exception("logging %s", forms(secret))
    user.conversation(kind="data", title="for " + secret, data={"x": secret})
    answer = await connectors.crm.login({"header": secret, "deep": [{secret: forms(secret)}]})
    assert answer["echo"]["header"] == secret, "the step itself gets the answer as it is"
    try:
        await connectors.crm.fail({"header": secret})
    except Exception as error:
        log.error("caught", error)
    task.name("named " + secret)
    task.tags(["tag-" + secret])
    task.subtask("child " + secret, {"harmless": True})
    task.complete_on_expire({"late": secret})
    data.start = False


@step(condition={"start": False, "planted": None}, priority=8)
async def fails(data, task):
    secret = task.config("SECRET")
    data.planted = True
    raise type("Wrong" + secret, (ValueError,), {})("x" * 7_990 + secret + " and " + " ".join(forms(secret)))


@step(condition={"start": False, "$errors": {"fails": dict}}, priority=7)
async def completes(data, task):
    secret = task.config("SECRET")
    del data["$errors"]
    task.complete({"token": secret, "all": forms(secret)})


def forms(secret):
    import base64, json
    from urllib.parse import quote, quote_plus

    content = secret.encode()
    return [
        secret, base64.b64encode(content).decode(), base64.urlsafe_b64encode(content).decode().rstrip("="),
        *(base64.b64encode(b"x" * n + content + b"-").decode() for n in range(4)),
        quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret), json.dumps(json.dumps(secret)),
        repr(secret), repr(content),
    ]
"""

SCRIPTS = {
    "plant.js": """
const forms = (secret) => [
  secret, btoa(unescape(encodeURIComponent(secret))), btoa('x' + unescape(encodeURIComponent(secret)) + '-'),
  encodeURIComponent(secret), encodeURI(secret), JSON.stringify(secret), JSON.stringify({ a: JSON.stringify(secret) }),
];

export const condition = { start: true };
export const content = async () => {
  const secret = task.config('SECRET');
  for (const form of forms(secret)) {
    console.log('log', form, { deep: [form] });
    audit.log('audit ' + form, { [form]: [form] });
    audit.reference({ id: form, name: form });
    task.visualize({ type: 'table', name: form, data: { [form]: [form] } });
  }
  await connectors.crm.login({ header: secret, deep: forms(secret) });
  try { await connectors.crm.fail({ header: secret }); } catch (error) { console.error('caught', error.message); }
  user.conversation({ kind: 'data', title: secret, data: { x: secret } });
  task.name('named ' + secret);
  task.tags(['tag-' + secret]);
  task.subtask('child ' + secret, { harmless: true });
  data.start = false;
};
""",
    "fails.js": """
export const condition = { start: false, $errors: null };
export const content = async () => {
  const secret = task.config('SECRET');
  const error = new Error('x'.repeat(7_990) + secret + encodeURIComponent(secret));
  error.name = 'Wrong' + secret;
  throw error;
};
""",
    "completes.js": """
export const condition = { start: false, $errors: { fails: Object } };
export const content = async () => {
  delete data.$errors;
  task.complete({ token: task.config('SECRET') });
};
""",
}


class Crm:
    """Sends back whatever it is sent."""

    namespace, methods, default, recorded = "crm", ("login", "fail"), None, True

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def call(self, method: str, arguments: Any, context: CallContext) -> Any:
        self.seen.append(arguments)
        if method == "fail":
            raise CallError(f"401 for {arguments['header']}", 401)
        return {"echo": arguments}


async def run(
    folder: Path, data: dict[str, Any], secrets: Sequence[str] = (SECRET, OTHER), path: Any = ":memory:"
) -> tuple[Outcome, list[Any], Crm]:
    """The outcome of a task on the steps in ``folder``, what the operations tell of it, and the service."""
    crm = Crm()
    config = {"SECRET": SECRET, "PLAIN": "plain"}
    workspace = Workspace("default", [str(folder)], config=config, secrets=secrets, connectors=[crm])
    async with SQLiteStore(path, key=b"k" * 32) as store:
        engine = workspace.engine(store.workspace("default"), clock=VirtualClock(), cipher=lambda: store.cipher)
        scheduler = Scheduler(engine)
        operations = Operations(Site(engine, store, Settings(), advancing=True))
        task = new_task("default", "a task", data, via={"type": "api"}, now=engine.clock.now())
        async with scheduler.running():
            await engine.submit([task])
            await scheduler.run_until_quiet()
        outcome = await read_outcome(engine.store, task.id)
        told = [
            await operations.call(name, {"id": task.id}) for name in ("show_task", "task_log")
        ]  # fmt: skip
        told += [await operations.call("list_tasks", {}), await operations.call("info", {}) if store.path else None]
        told.append(outcome_to_json(outcome))
    return outcome, told, crm


@pytest.mark.anyio
@pytest.mark.parametrize("language", ["python", "javascript"])
async def test_a_secret_that_is_planted_everywhere_is_found_nowhere(
    tmp_path: Path, language: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.handler.addFilter(HideSecrets())
    folder = tmp_path / "steps"
    folder.mkdir()
    files = {"planted.py": PYTHON} if language == "python" else SCRIPTS
    for name, text in files.items():
        (folder / name).write_text(text)
    outcome, told, crm = await run(folder, {"start": True}, path=tmp_path / "tasks.db")

    failed = next(entry for entry in outcome.entries if entry.error is not None)
    assert (outcome.state, outcome.result["token"]) == (TaskState.DONE, HIDDEN)
    assert crm.seen[0]["header"] == SECRET, "the service gets it"
    assert failed.error is not None
    assert failed.error.type == f"Wrong{HIDDEN}"
    assert failed.error.message.startswith("xxxx")
    assert outcome.task.name == f"named {HIDDEN}"
    assert outcome.task.tags == [f"tag-{HIDDEN}"]
    seen = json.dumps(told, ensure_ascii=False, default=repr) + json.dumps(told, default=repr) + caplog.text
    traces = traces_of(SECRET)
    assert language == "javascript" or f"ValueError: {HIDDEN} of mine" in caplog.text
    assert [trace for trace in traces if trace in seen] == []
    begin = SECRET[:6]
    assert [seen[at - 20 : at + 40] for at in (seen.find(begin),) if at >= 0] == [], "nor is it cut in its middle"
    assert traces_in(tmp_path, traces) == []
    assert HIDDEN.encode() in (tmp_path / "tasks.db").read_bytes()


COPIES = """
from aloma_py import step

@step(condition={"a": 1})
async def copies(data, task, log):
    data.a = 2
    data.deep = [{"token": "Bearer " + task.config("SECRET")}]
    data.harmless = task.config("PLAIN")
    data["$stash"].token = task.config("SECRET")
    task.subtask("child", {"token": task.config("SECRET"), "$stash": {"more": task.config("SECRET")}}, into="b")
    log.info("done")
"""


@pytest.mark.anyio
async def test_what_a_step_writes_into_data_stays_and_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "copies.py").write_text(COPIES)
    outcome, _, _ = await run(tmp_path, {"a": 1})
    assert outcome.data["deep"] == [{"token": f"Bearer {SECRET}"}]
    assert outcome.data["$stash"] == {"token": "String"}
    info, warning = outcome.entries[0].logs
    assert (info.level, info.text, warning.level) == ("info", "done", "warning")
    assert warning.text == (
        "a secret was written into data.deep, the data of subtask 'child': "
        "whoever may see the task sees it there; data.$stash keeps it hidden"
    )


@pytest.mark.anyio
async def test_without_secrets_what_a_step_writes_is_as_it_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "copies.py").write_text(COPIES.replace('log.info("done")', 'log.info("got", task.config("SECRET"))'))
    outcome, _, _ = await run(tmp_path, {"a": 1, "$stash": {"pin": "nothing else"}}, secrets=())
    assert [line.level for line in outcome.entries[0].logs] == ["info"]
    assert outcome.entries[0].logs[0].text == f"got {HIDDEN}", "it is in $stash as well"


@pytest.mark.anyio
async def test_texts_of_the_stash_and_secrets_are_hidden_together(tmp_path: Path) -> None:
    (tmp_path / "both.py").write_text(
        "from aloma_py import step\n"
        "@step(condition={'a': 1})\n"
        "async def both(data, task, log):\n"
        "    data.a = 2\n"
        "    log.info('x' + data['$stash'].pin + '|' + task.config('SECRET') + '|' + data['$stash'].whole)\n"
    )
    stash = {"pin": "9876", "whole": f"Bearer {SECRET} (a token)"}
    outcome, _, _ = await run(tmp_path, {"a": 1, "$stash": stash})
    assert outcome.entries[0].logs[0].text == f"x{HIDDEN}|{HIDDEN}|{HIDDEN}"


@pytest.mark.anyio
async def test_an_engine_goes_on_with_the_secrets_that_it_is_handed(tmp_path: Path) -> None:
    (tmp_path / "says.py").write_text(
        "from aloma_py import step\n"
        "@step(condition={'a': 1})\n"
        "async def says(data, task, log):\n"
        "    data.a = 2\n"
        "    log.info(task.config('SECRET'))\n"
    )
    workspace = Workspace("default", [str(tmp_path)], config={"SECRET": "the first one"}, secrets=["the first one"])
    texts = []
    async with SQLiteStore(":memory:") as store:
        engine = workspace.engine(store.workspace("default"), clock=VirtualClock())
        scheduler = Scheduler(engine)
        async with scheduler.running():
            for secret in ("the first one", "the second one"):
                engine.adopt(workspace.steps, workspace.step_set.libraries, {"SECRET": secret}, secrets=[secret])
                task = new_task("default", "t", {"a": 1}, via={"type": "api"}, now=engine.clock.now())
                await engine.submit([task])
                await scheduler.run_until_quiet()
                texts.append((await engine.store.entries(task.id))[0].logs[0].text)
    assert texts == [HIDDEN, HIDDEN]
