"""Repositories are read over HTTP, ssh and from folders: that one commit, and nothing that is not a project's."""

from __future__ import annotations

import errno
import io
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from dulwich.objects import Tree

from aloma_py.errors import AlomaError, InputError, LoadError
from aloma_py.sync import Credentials, Found, SourceError, find, in_thread, packs, projects, read_address
from aloma_py.sync.ssh import check_host_key, read_key
from aloma_py.sync.stopping import Stop

from .gitserver import Repository, SshServer, new_key, step_of, web_server

TOKEN = "a-heron-stands-by-the-weir"
FILES = {
    "README.md": "# flows",
    "steps/a.js": step_of("a"),
    "steps/orders/take them.mts": step_of("b"),
    "libraries/words.js": "export const one = () => 1;\n",
}


def at(path: Path | str) -> Any:
    return read_address(str(path), local=True)


def names(found: Found) -> list[str]:
    assert found.project is not None
    return [f"{one.kind} {one.name}{one.suffix}" for one in found.project.scripts]


ALL = ["step a.js", "step orders/take them.mts", "library words.js"]


def refused(*arguments: Any, **more: Any) -> str:
    with pytest.raises(AlomaError) as raised:
        find(*arguments, **more)
    assert TOKEN not in str(raised.value)
    return str(raised.value)


# ── the ways to a repository ────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_of_this_machine(repository: Repository) -> None:
    repository.commit({"steps/old.js": step_of("old")})
    commit = repository.commit(FILES)
    found = find(at(repository.path), Credentials())
    assert (found.commit, found.branch, found.author, found.title) == (
        commit, "main", "Ada <ada@example.org>", "a change",
    )  # fmt: skip
    assert names(found) == ALL
    assert found.project is not None and found.project.scripts[0].text == FILES["steps/a.js"]
    assert find(at(repository.path), Credentials(), known=commit).project is None


def test_over_http_with_a_password(repository: Repository) -> None:
    commit = repository.commit(FILES)
    repository.commit({"steps/other.js": step_of("other")}, branch="next")
    with web_server({"flows.git": repository}, "git", TOKEN) as served:
        address = at(f"{served.url}/flows.git")
        found = find(address, Credentials(password=TOKEN))  # a token alone
        assert (found.commit, found.branch, names(found)) == (commit, "main", ALL)
        assert names(find(address, Credentials("git", TOKEN), branch="next")) == ["step other.js"]
        before = len(served.requests)
        assert find(address, Credentials("git", TOKEN), known=commit).project is None
        assert served.requests[before:] == ["/flows.git/info/refs"]  # what is known is not fetched
        assert "wants a user and a password" in refused(address, Credentials())
        assert "refused the user and password" in refused(address, Credentials("ada", TOKEN))
        assert "did you mean 'next'?" in refused(address, Credentials(password=TOKEN), branch="nxet")
        assert "there is no git repository" in refused(at(f"{served.url}/nothing"), Credentials(password=TOKEN))
        assert "answered with text/html" in refused(at(f"{served.url}/page/x"), Credentials(password=TOKEN))
        served.redirect = "http://localhost:1/flows.git/info/refs?service=git-upload-pack"
        assert "sends on to another host" in refused(address, Credentials(password=TOKEN))
    assert "cannot be reached: Connection refused" in refused(address, Credentials(password=TOKEN))


def test_nothing_is_sent_on_to_another_host(repository: Repository) -> None:
    repository.commit(FILES)
    with web_server({"flows.git": repository}) as theirs, web_server({"flows.git": repository}) as ours:
        ours.redirect = f"{theirs.url}/flows.git/info/refs?service=git-upload-pack"
        refused(at(f"{ours.url}/flows.git"), Credentials(password=TOKEN))
        assert theirs.requests == []
        ours.redirect = f"{ours.url}/flows.git/info/refs?service=git-upload-pack"
        assert "sends on without end" in refused(at(f"{ours.url}/flows.git"), Credentials(password=TOKEN))


def test_what_may_not_be_reached_gets_no_word(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.commit(FILES)
    with web_server({"flows.git": repository}, "git", TOKEN) as web, ssh_server(repository) as (ssh, text):
        addresses = [at(f"{web.url}/flows.git"), at(f"http://localhost:{web.url.rpartition(':')[2]}/flows.git"),
                     at(f"{ssh.url}/flows.git")]  # fmt: skip
        monkeypatch.setenv("ALOMA_REFUSED_ADDRESSES", "10.0.0.0/8, 127.0.0.0/8, ::1")
        for address, known in zip(
            addresses, ({"password": TOKEN}, {"password": TOKEN}, {"ssh_key": text}), strict=True
        ):
            told = refused(address, Credentials(host_key="any" if "ssh_key" in known else None, **known))
            assert "is at 127.0.0.1, where git may not go (see the setting refused_addresses)" in told
        assert web.requests == []
        monkeypatch.setenv("ALOMA_REFUSED_ADDRESSES", "10.0.0.0/8")
        assert names(find(addresses[0], Credentials(password=TOKEN))) == ALL


@contextmanager
def ssh_server(repository: Repository) -> Iterator[tuple[SshServer, str]]:
    key, text = new_key()
    served = SshServer({"flows.git": repository}, key)
    try:
        yield served, text
    finally:
        served.close()


def test_over_ssh_with_a_key(repository: Repository) -> None:
    commit = repository.commit(FILES)
    with ssh_server(repository) as (served, text):
        address, host = at(f"{served.url}/flows.git"), served.host_key
        line = f"[127.0.0.1]:{served.port} {host.get_name()} {host.get_base64()}"
        for known in (line, f"# a comment\n{line} of a host", f"{host.get_name()} {host.get_base64()}",
                      host.fingerprint, "any"):  # fmt: skip
            found = find(address, Credentials(ssh_key=text, host_key=known))
            assert (found.commit, found.branch, names(found)) == (commit, "main", ALL)
        assert find(address, Credentials(ssh_key=text, host_key="any"), known=commit).project is None


def test_a_host_that_is_not_known_is_refused(repository: Repository) -> None:
    repository.commit(FILES)
    with ssh_server(repository) as (served, text):
        address, other = at(f"{served.url}/flows.git"), new_key()[0]
        said = refused(address, Credentials(ssh_key=text))
        assert "nothing says that 127.0.0.1 is the right host" in said and served.host_key.fingerprint in said
        for wrong in (other.fingerprint, f"{other.get_name()} {other.get_base64()}",
                      f"example.org {served.host_key.get_name()} {served.host_key.get_base64()}"):  # fmt: skip
            assert "not the one in host_key" in refused(address, Credentials(ssh_key=text, host_key=wrong))
        assert "refused the key for the user 'git'" in refused(
            address, Credentials(ssh_key=new_key()[1], host_key="any")
        )
        assert "wants an ssh_key" in refused(address, Credentials(host_key="any"))
        missing = at(f"{served.url}/nothing.git")
        assert "there is no repository 'nothing.git'" in refused(missing, Credentials(ssh_key=text, host_key="any"))
    assert "cannot be reached" in refused(address, Credentials(ssh_key=text, host_key="any"))


@pytest.mark.parametrize("text", ["", "x y", "example.org ssh-rsa", "ssh-ed25519 AAAA", "SHA256:short", "ssh-dss AAAA"])
def test_texts_that_are_no_host_key(text: str) -> None:
    with pytest.raises(InputError, match="host_key"):
        check_host_key(text)


def test_private_keys_that_cannot_be_used() -> None:
    key, text = new_key()
    assert read_key(text.replace("\n", "\r\n")).fingerprint == key.fingerprint
    for wrong, said in (("hunter2", "no private key"), (text[: len(text) // 2], "cannot be read")):
        with pytest.raises(InputError, match=said) as raised:
            read_key(wrong)
        assert wrong not in str(raised.value)


# ── what is in it ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_layouts_of_projects(repository: Repository) -> None:
    built = '{"name": "and so/on", "content": {"if": "{a: String}", "do": "data.b = 1", "enabled": false}}'
    export = {"export/steps/and__so__on.step.json": built}
    repository.commit(export)
    found = find(at(repository.path), Credentials())
    assert found.project is not None
    one = found.project.scripts[0]
    assert (one.name, one.suffix, one.text, one.condition, one.content, one.disabled) == (
        "and so/on", ".js", None, "{a: String}", "data.b = 1", True,
    )  # fmt: skip
    sdk = {**export, "src/steps/x/y z.mts": step_of("a"), "src/libraries/u.ts": "export const a = 1;",
           "src/steps/x/types.d.ts": "type A = 1"}  # fmt: skip
    repository.commit(sdk)
    assert names(find(at(repository.path), Credentials())) == ["step x/y z.mts", "library u.ts"]
    repository.commit({**sdk, "steps/plain.js": step_of("a")})
    found = find(at(repository.path), Credentials())
    assert names(found) == ["step plain.js"] and found.project is not None and not found.project.libraries
    repository.commit({f"flows/orders/{path}": text for path, text in FILES.items()})
    assert names(find(at(repository.path), Credentials(), folder="flows/orders")) == ALL
    assert names(find(at(repository.path), Credentials(), folder="flows/orders/steps")) == ALL[:2]
    assert "there are no steps at the repository's root" in refused(at(repository.path), Credentials())
    assert "no folder 'flows/x'" in refused(at(repository.path), Credentials(), folder="flows/x")


def test_what_is_skipped(repository: Repository) -> None:
    repository.commit({
        **FILES,
        "steps/_draft.js": "no", "steps/.hidden/x.js": "no", "steps/notes.md": "no", "steps/types.d.ts": "no",
        "steps/close.py": "raise SystemExit",
        "steps/link.js": (0o120000, b"/etc/passwd"),
        "steps/link2": (0o120000, b"../.."),
        "steps/module.js": (0o160000, b"1" * 40),
        "other/module": (0o160000, b"1" * 40),
    })  # fmt: skip
    found = find(at(repository.path), Credentials())
    assert names(found) == ALL
    assert found.project is not None
    assert [one["path"] for one in found.project.skipped] == ["steps/close.py", "steps/link.js", "steps/module.js"]
    repository.commit({"steps/close.py": "x = 1"})
    assert "there is no step in steps/" in refused(at(repository.path), Credentials())


@pytest.mark.parametrize(("files", "said"), [
    ({"steps/a.js": b"\xff\xfe"}, "steps/a.js: the file is no UTF-8 text"),
    ({"steps/a.js": "version https://git-lfs.github.com/spec/v1\noid"}, "steps/a.js: the file is kept in Git LFS"),
    ({"steps/\x1b[2J.js": "1"}, r"'steps/\x1b[2J.js': the file's name has control characters"),
    ({"steps/a.js": "1", "steps/a.ts": "1"}, "steps/a.ts: the step 'a' is in steps/a.js too"),
    ({"steps/a.js": "x" * 2_000_001}, "more than a step may have"),
    ({"export/steps/a.step.json": "{"}, "export/steps/a.step.json: the file is no JSON"),
    ({"export/steps/a.step.json": "[" * 100_000}, "the file is no JSON"),
    ({"export/steps/a.step.json": '{"name": "a", "content": {"if": 1, "do": ""}}'}, "this is no built step"),
    ({"export/steps/a.step.json": "[]"}, "this is no built step"),
    ({"export/steps/a.step.json": '{"name": "a", "errors": ["x"], "content": {"if": "{}", "do": ""}}'},
     "the build says that the step is not valid"),
])  # fmt: skip
def test_files_that_cannot_be_read(repository: Repository, files: dict[str, Any], said: str) -> None:
    repository.commit(files)
    with pytest.raises(LoadError) as raised:
        find(at(repository.path), Credentials())
    assert said in str(raised.value)


def test_what_others_wrote_does_not_reach_the_terminal(repository: Repository) -> None:
    repository.commit(FILES, message="\x1b[2Jcleared\x07\n")
    assert find(at(repository.path), Credentials()).title == " [2Jcleared "
    assert str(SourceError("a\x1b[2J\nb")) == "a [2J b"


def test_repositories_without_commits(repository: Repository) -> None:
    assert refused(at(repository.path), Credentials()) == "the repository has no commits yet"
    with web_server({"a": repository}) as served:
        assert refused(at(f"{served.url}/a"), Credentials()) == "the repository has no commits yet"
        assert refused(at(f"{served.url}/a"), Credentials(), branch="main") == "the repository has no commits yet"
    assert "there is no git repository at" in refused(at(repository.path.parent), Credentials())


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_repository_that_is_too_large(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.commit({**FILES, "movie": bytes(range(256)) * 4000})
    monkeypatch.setattr(packs, "MAX_BYTES", 1000)
    with web_server({"a": repository}) as served:
        assert "the repository is larger than" in refused(at(f"{served.url}/a"), Credentials())
    monkeypatch.setattr(packs, "MAX_BYTES", 100_000)  # sent it is small
    with web_server({"a": repository}) as served:
        assert "the repository is larger than" in refused(at(f"{served.url}/a"), Credentials())
    monkeypatch.setattr(packs, "MAX_BYTES", 10_000_000)
    monkeypatch.setattr(packs, "MAX_UNPACKED", 1_000_000)
    with web_server({"a": repository}) as served:
        assert "larger than 1 GB when it is unpacked" in refused(at(f"{served.url}/a"), Credentials())
    monkeypatch.setattr(projects, "MAX_FILES", 3)
    assert "more than 3 files" in refused(at(repository.path), Credentials())


def test_a_folder_that_is_in_itself_many_times_over(repository: Repository) -> None:
    mode, tree = 0o040000, Tree()
    for _ in range(12):  # 13 objects, and 30 to the power of 12 folders without a file
        repository.repo.object_store.add_object(tree)
        below, tree = tree.id, Tree()
        for number in range(30):
            tree.add(f"d{number}".encode(), mode, below)
    repository.repo.object_store.add_object(tree)
    repository.commit(FILES)
    top = repository.repo[repository.repo[repository.repo.head()].tree]
    top[b"more"] = (mode, tree.id)
    stop = Stop(20)
    trees = {top.id: top}
    with pytest.raises(SourceError, match="more than 10,000 folders"):
        projects.read_project(lambda id: trees.get(id) or repository.repo[id], lambda id: b"", top.id, None, stop)


def test_no_room_for_it() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SourceError, match=r"there is no room for the repository in .*: .*No space left"):
        packs.Packs(Full(), Stop()).write(b"PACK")


def number(value: int) -> bytes:
    made = b""
    while value > 0x7F:
        made, value = made + bytes([value & 0x7F | 0x80]), value >> 7
    return made + bytes([value])


def entry(kind: int, size: int, content: bytes, before: bytes = b"") -> bytes:
    head = [kind << 4 | size & 0x0F]
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head) + before + zlib.compress(content)


def pack(*entries: bytes) -> bytes:
    return b"PACK" + (2).to_bytes(4, "big") + len(entries).to_bytes(4, "big") + b"".join(entries) + bytes(20)


@pytest.mark.parametrize(("data", "said"), [
    (b"", "no pack"),
    (b"HTTP" * 5, "no pack"),
    (pack(entry(3, 1 << 40, b"")), "larger than 100 MB"),
    (pack(entry(3, 10, bytes(1_000_000))), "damaged"),  # it says that it is small
    (pack(entry(3, 1_000_000, bytes(1_000_000))[:-40]), "damaged"),
    (pack(entry(7, 20, number(9) + number(1 << 40) + bytes(13), bytes(20))), "larger than 100 MB"),
    (pack(entry(7, 1, b"\x80", bytes(20))), "damaged"),
    (pack(entry(3, 5, b"hello"))[:-20] + b"\xff" * 40, "damaged"),
    (b"PACK" + (2).to_bytes(4, "big") + (1 << 31).to_bytes(4, "big") + bytes(30), "files and folders"),
    (pack(b"\xbf" + b"\xff" * 30), "damaged"),
])  # fmt: skip
def test_packs_that_are_made_to_harm(data: bytes, said: str) -> None:
    begun = time.monotonic()
    with packs.taking_in(Stop()) as taken:
        taken.write(data)
        with pytest.raises(SourceError, match=said), taken.opened():
            pass
    assert time.monotonic() - begun < 5


@contextmanager
def silent_server() -> Iterator[int]:
    """Takes connections and says nothing."""
    taken = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            try:
                while True:
                    taken.append(listener.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for one in taken:
        one.close()


@pytest.mark.anyio
@pytest.mark.parametrize("address", ["http://127.0.0.1:{}/x", "ssh://git@127.0.0.1:{}/x"])
async def test_a_host_that_says_nothing_can_be_left_at_any_time(address: str) -> None:
    with silent_server() as port:
        place, begun = at(address.format(port)), time.monotonic()
        threads = threading.active_count()
        with anyio.move_on_after(0.2) as scope:
            await in_thread(lambda stop: find(place, Credentials(ssh_key=new_key()[1], host_key="any"), stop=stop))
        assert scope.cancelled_caught
        with pytest.raises(SourceError, match=r"took longer than 0\.2 s"):
            await in_thread(lambda stop: find(place, Credentials(), stop=stop), 0.2)
        assert time.monotonic() - begun < 4
    with anyio.fail_after(5):
        while threading.active_count() > threads:
            await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
async def test_what_goes_wrong_in_the_thread_comes_out_of_it() -> None:
    def work(stop: Stop) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await in_thread(work)
    assert await in_thread(lambda stop: 7) == 7
