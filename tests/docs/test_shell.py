"""What types the commands of the pages: that it types them, and that it finds what is not as a page says."""

from __future__ import annotations

import http.server
import os
import shlex
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import curl
import pages
import shell
import test_commands
from shell import Reader, Shell

ID, OTHER = "task-06gvv1a95k2lk1933qgi", "task-06gvuaok2h5cla8usbub"


# ── what is printed ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("accepted task-06gvrgjqi4oqe21e6kh6", f"accepted {ID}\n"),
        ("wave 1  +3 ms\n  ✓ check  12 ms", "wave 1  +11 ms\n  ✓ check  1.2 s"),
        ("at 2026-11-21T19:11:26.803Z (in 1 d 14 h)", "at 2027-01-02T03:04:05+01:00 (in 5 min)"),
        ("a        b\n12 ms    c", "a      b\n1 ms   c  \n"),
        ('{"id":"task-06gvuaokc1rqvuvqihum",…,"ms":7}', '{"id":"' + ID + '","a":[1],"ms":278}'),
        ("first\n…\nlast", "first\none\ntwo\nlast"),
        ("first\n…\nlast", "first\nlast"),
        ("token als_dXj8…", "token als_Fp9ThK1coumJ_iPzylWvdY7QQozWcYcqWmsTp_AiKG0"),
        ("wrote copy.db (262.1 kB)", "wrote copy.db (1.3 MB)"),
        ("secret  s-Geh1p2HlX_3duTR1S3SGAlpnzCIXtNxClCufywWg4", "secret  -wlRddThDKdQr8_dWp5nNV0G_DJPVwJzVfAJKnPRCzM"),
        ("", ""),
    ],
)
def test_what_differs_each_time_may_differ(shown: str, printed: str) -> None:
    assert Reader().matches(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("done", "done\nand more"),
        ("done\nand more", "done"),
        ("", "something"),
        ("something", ""),
        ("2 passed", "3 passed"),
        ("wave 1  +3 ms", "wave 2  +3 ms"),
        ("accepted task-06gvrgjqi4oqe21e6kh6", "accepted nothing"),
        ("  indented", "indented"),
        (f"{ID} {OTHER}", f"{ID} {ID} x"),
        ("task-06gvuaokc1rqvuvqihum task-06gvuaokc1rqvuvqihum", f"{ID} {OTHER}"),
    ],
)
def test_anything_else_is_found(shown: str, printed: str) -> None:
    assert not Reader().matches(shown, printed)


def test_an_id_of_the_page_means_the_one_that_came() -> None:
    reader = Reader({"127.0.0.1:8765": "127.0.0.1:40001"})
    assert reader.matches("token als_dXj8… of task-06gvrgjqi4oqe21e6kh6", f"token als_Fp9ThK1coumJ of {ID}")
    assert reader.here("task show task-06gvrgjqi4oqe21e6kh6") == f"task show {ID}"
    assert reader.here("curl http://127.0.0.1:8765 als_dXj8…") == "curl http://127.0.0.1:40001 als_Fp9ThK1coumJ"
    assert reader.matches("task-06gvrgjqi4oqe21e6kh6", ID)
    assert not reader.matches("task-06gvrgjqi4oqe21e6kh6", OTHER)


# ── the shell ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def typing(tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / "notes").mkdir()
    one = Shell(tmp_path, tmp_path / "notes", os.environ)
    yield one
    one.close()


def test_folder_and_variables_last(typing: Shell, tmp_path: Path) -> None:
    assert typing.run("mkdir inner && cd inner && NAME=Ada") == (0, "")
    assert typing.run('echo "$NAME in $(basename "$PWD")"; echo no >&2; false') == (1, "Ada in inner\nno\n")
    assert typing.run("cat <<END\na\nEND") == (0, "a\n")
    assert typing.run("read -r line; echo got $line", "typed\n") == (0, "got typed\n")
    assert typing.run("cat") == (0, "")


def test_what_is_left_in_the_background_is_ended_with_its_status(typing: Shell) -> None:
    endless = "while :; do read -r -t 1 _ < <(:); done"
    typing.run(f'(trap "echo bye; exit 0" TERM; echo up; {endless}) &')
    typing.run(f'(trap "exit 3" TERM; echo up; {endless}) &')
    assert typing.end() == [(0, "up\nbye\n"), (3, "up\n")]


def test_ctrl_c_ends_what_goes_on(typing: Shell) -> None:
    printed = typing.run_until("echo 1; echo 2; exec sleep 600", lambda text: text == "1\n2\n")
    assert printed == "1\n2\n"
    assert typing.run("echo after") == (0, "after\n")


def test_a_command_that_does_not_end_is_told(typing: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "PATIENCE", 0.1)
    with pytest.raises(TimeoutError, match="still at work"):
        typing.run("sleep 600")


# ── a page ──────────────────────────────────────────────────────────────────────────────────────────────────────────

WRONG = {
    "another output": ("```console\n$ echo one\ntwo\n```", "-two"),
    "a failure": ("```sh\necho one\nfalse\n```", "exit status 1"),
    "an error that did not come": ("```console\n$ echo Error: no\nError: no\n```", "exit status 0"),
    "no output of all": ("```sh\necho one\n```\n\n```output\ntwo\n```", "-two"),
    "a server that ends badly": ("```sh\n(echo up; exit 4) &\n```", "ended with 4"),
    "a file that was not written": ('```sh\ncat a.txt\n```\n\n```text title="a.txt"\na\n```', "exit status 1"),
}


@pytest.mark.parametrize(("text", "told"), WRONG.values(), ids=WRONG)
def test_a_page_that_is_wrong_fails(text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = pages.ROOT / "wrong.md"
    monkeypatch.setattr(test_commands, "blocks", lambda _: pages.read_blocks(page, text))
    with pytest.raises((AssertionError, pytest.fail.Exception), match=told):
        test_commands.walk(page, tmp_path)


RIGHT = """
```text title="in/a.txt"
a
```

```console
$ cat in/a.txt \\
>   in/a.txt
a
a
$ echo Error; false
Error
```

<!-- not run: it takes a host -->
```sh
false
```

- in a list

  ```sh
  echo one
  ```

  ```output
  one
  ```

<!-- typed: Ada -->
```console
$ read -r NAME; echo Hello $NAME
Hello Ada
```
"""


def test_a_page_that_is_right_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_commands, "blocks", lambda _: pages.read_blocks(pages.ROOT / "right.md", RIGHT))
    test_commands.walk(pages.ROOT / "right.md", tmp_path)


def test_a_fence_with_a_name_in_other_words_is_refused() -> None:
    with pytest.raises(ValueError, match=r"x\.md:1: .* title="):
        pages.read_blocks(Path("x.md"), "```python order.py\n```")


# ── curl ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(404 if self.path == "/none" else 200)
        self.end_headers()
        self.wfile.write(f"{self.command} {self.headers['Content-Type']} {self.headers['X-A']} ".encode() + body)

    do_GET = do_PUT = do_POST

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_our_curl_asks_as_curl_does(echo: str, tmp_path: Path) -> None:
    (tmp_path / "body").write_text("from a file")
    out = tmp_path / "out"

    def answer(line: str) -> tuple[int, str]:
        status = curl.main([*shlex.split(line.format(url=echo, body=tmp_path / "body")), "-o", str(out)])
        return status, out.read_text() if out.exists() else ""

    assert answer("-s {url}") == (0, "GET None None ")
    assert answer("-s -H 'X-A: b' -d x=1 {url}") == (0, "POST application/x-www-form-urlencoded b x=1")
    assert answer("-s -X POST -T {body} -H 'Content-Type: a/b' {url}") == (0, "POST a/b None from a file")
    assert answer("-s {url}/none") == (0, "GET None None ")
    assert answer(f"-s -D {tmp_path / 'head'} {{url}}")[0] == 0
    assert (tmp_path / "head").read_text().startswith("HTTP/1.1 200 OK\n")
    assert answer("-sf {url}/none") == (22, "")


def test_our_curl_has_the_options_of_the_pages() -> None:
    lines = [
        typed.command
        for block in pages.of_kind(*test_commands.COMMANDS)
        if not block.mark.startswith("not run:")
        for typed in test_commands.typed_in(block)
        if typed.command.startswith("curl ")
    ]
    assert lines
    for line in lines:
        curl.read_arguments(shlex.split(line.replace("\\\n", " ").partition(" | ")[0].rstrip("&"))[1:])
