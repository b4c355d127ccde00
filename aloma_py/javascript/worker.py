"""A worker process: isolates, driven by frames that come in over a socket. ``python -m aloma_py.javascript.worker FD``.

It has limits of its own (memory, no core files), no environment, and nothing worth stealing: what steps may do outside
V8 they ask the engine for.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import sys
from typing import Any, Final

from py_mini_racer import init_mini_racer

from aloma_py.javascript.isolate import V8_FLAGS, Isolate
from aloma_py.javascript.wire import CONTROL, Frames, frame

PIECE: Final = 1 << 20


class Worker:
    """Reads frames, and hands them to the isolates that they are for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._isolates: dict[int, Isolate] = {}

    async def serve(self) -> None:
        frames = Frames()
        self._emit(CONTROL, b"[]")  # ready
        while piece := await self._reader.read(PIECE):
            for number, body in frames.feed(piece):
                if number == CONTROL:
                    await self._control(json.loads(body))
                elif number in self._isolates:
                    self._isolates[number].put("messages", body.decode("utf-8", "surrogatepass"))
        for isolate in self._isolates.values():
            await isolate.close()

    async def _control(self, order: dict[str, Any]) -> None:
        match order:
            case {"open": number, "hold": hold, "memory": memory}:
                self._isolates[number] = Isolate(number, self._emit, hold, memory)
            case {"close": number}:
                await self._isolates.pop(number).close()  # no run is in it
            case {"load": number, **item}:
                self._isolates[number].put("load", item)

    def _emit(self, isolate: int, body: bytes) -> None:
        self._writer.write(frame(isolate, body))


def limit(memory: int) -> None:
    """Hold this process to ``memory`` bytes of data, so that a bomb of buffers fails in the step that lit it."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the engine, which ends its workers itself


def note_lost_answer(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Count what :attr:`Isolate.lost_answers` is about; everything else is told as ever."""
    if "_handle_callback_from_v8" in context.get("message", ""):
        Isolate.lost_answers += 1
    else:
        loop.default_exception_handler(context)


async def work(fd: int) -> None:
    asyncio.get_running_loop().set_exception_handler(note_lost_answer)
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=fd), limit=PIECE)
    await Worker(reader, writer).serve()


def main() -> None:
    limit(int(sys.argv[2]))
    init_mini_racer(flags=V8_FLAGS, ignore_duplicate_init=True)
    asyncio.run(work(int(sys.argv[1])))
    sys.stdout.flush()
    os._exit(0)  # an interpreter that ends with V8 loaded hangs at times


if __name__ == "__main__":
    main()
