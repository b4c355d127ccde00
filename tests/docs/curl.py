"""A ``curl`` for machines that have none: the options that the pages use, with what Python brings along."""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO


def read_arguments(arguments: list[str]) -> argparse.Namespace:
    """The options; ends the process where there is another one."""
    options = argparse.ArgumentParser(prog="curl", allow_abbrev=False)
    for short, name in (("-s", "--silent"), ("-S", "--show-error"), ("-f", "--fail"), ("-N", "--no-buffer")):
        options.add_argument(short, name, action="store_true")
    options.add_argument("-i", "--include", action="store_true")
    options.add_argument("-X", "--request")
    options.add_argument("-H", "--header", action="append", default=[])
    options.add_argument("-d", "--data", "--data-binary", action="append", default=[])
    options.add_argument("-T", "--upload-file")
    options.add_argument("-o", "--output")
    options.add_argument("-D", "--dump-header")
    options.add_argument("url")
    return options.parse_args(arguments)


def content(text: str) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    return sys.stdin.buffer.read() if text == "@-" else Path(text[1:]).read_bytes()


def writing_to(name: str | None) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdout.buffer) if name in (None, "-") else Path(name).open("wb")


def request_of(given: argparse.Namespace) -> urllib.request.Request:
    body = content(f"@{given.upload_file}") if given.upload_file else None
    if given.data:
        body = b"&".join(content(text) for text in given.data)
    method = given.request or ("PUT" if given.upload_file else "POST" if given.data else "GET")
    request = urllib.request.Request(given.url, data=body, method=method)
    if given.data:
        request.add_header("Content-Type", "application/x-www-form-urlencoded")
    for header in given.header:
        name, _, value = header.partition(":")
        request.add_header(name.strip(), value.strip())
    return request


def main(arguments: list[str]) -> int:
    given = read_arguments(arguments)
    status = 0
    try:
        answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request_of(given))
    except urllib.error.HTTPError as error:
        answer, status = error, 22 if given.fail else 0
    except urllib.error.URLError as error:
        print(f"curl: (7) {error.reason}", file=sys.stderr)
        return 7
    head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n{answer.headers}".encode()
    if given.dump_header:
        with writing_to(given.dump_header) as out:
            out.write(head)
    with answer, writing_to(given.output) as out:
        if given.include:
            out.write(head)
        while status == 0 and (piece := answer.read1(65536)):
            out.write(piece)
            out.flush()
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
