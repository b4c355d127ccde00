"""``file`` and ``blob`` as step code sees them: larger payloads outside the task's data."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from aloma_py import jsontext
from aloma_py.errors import RunError
from aloma_py.models import Blob
from aloma_py.run.plain import plain

if TYPE_CHECKING:
    from aloma_py.run.context import RunContext

_TEXT, _BYTES, _JSON = b"t", b"b", b"j"  # the first byte of what is kept says what it was


def pack(content: Any) -> bytes:
    """Text, bytes or a JSON value, with what it was."""
    if isinstance(content, str):
        return _TEXT + content.encode("utf-8", "surrogatepass")
    if isinstance(content, (bytes, bytearray)):
        return _BYTES + bytes(content)
    return _JSON + jsontext.dumps(plain(content)).encode()


def unpack(content: bytes) -> Any:
    kind, body = content[:1], content[1:]
    if kind == _TEXT:
        return body.decode("utf-8", "surrogatepass")
    return body if kind == _BYTES else jsontext.loads(body)


class FileHandle:
    """The workspace's files, by name. What is written is there at once, also if the run fails later."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def write(self, name: str, content: Any) -> Any:
        """Keep text, bytes or a JSON value under a name, in place of what was there. Awaited in ``async`` steps."""
        context = self._context
        packed = pack(content)
        return context.begin(
            f"file.write({name!r})",
            lambda: context.services.store.write_file(str(name), packed, context.services.clock.now()),
        )

    def read(self, name: str) -> Any:
        """What was written under that name, as it was written; raises where there is none. ``async`` steps await it."""
        context = self._context

        async def work() -> Any:
            return unpack(await context.services.store.read_file(str(name)))

        return context.begin(f"file.read({name!r})", work)


class BlobHandle:
    """Payloads by id, kept as long as their task."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def create(self, blob: dict[str, Any] | None = None, **named: Any) -> Any:
        """Keep ``{content, name?, mimetype?, …}``; gives the id. ``content`` is text, bytes or a JSON value."""
        given = {**(blob or {}), **named}
        if "content" not in given:
            raise RunError("blob.create needs content")
        content = given.pop("content")
        context = self._context
        record = Blob(
            id=f"blob-{secrets.token_hex(12)}",
            task=context.task.id,
            name=given.pop("name", None),
            mimetype=given.pop("mimetype", None),
            content=pack(content),
            meta=plain(given),
            created_at=context.services.clock.now(),
        )

        async def work() -> str:
            await context.services.store.put_blob(record)
            return record.id

        return context.begin("blob.create", work)

    def get(self, blob_id: str) -> Any:
        """``{id, name, mimetype, size, …}`` of a blob, without its content."""

        async def describe() -> dict[str, Any]:
            blob = await self._context.services.store.get_blob(blob_id)
            about = {"id": blob.id, "name": blob.name, "mimetype": blob.mimetype, "size": len(blob.content) - 1}
            return {**(blob.meta or {}), **about}

        return self._context.begin("blob.get", describe)

    def get_content(self, blob_id: str) -> Any:
        """A blob's content: text and bytes as they were, a JSON value as its text."""

        async def content() -> Any:
            value = unpack((await self._context.services.store.get_blob(blob_id)).content)
            return value if isinstance(value, (str, bytes)) else jsontext.dumps(value)

        return self._context.begin("blob.getContent", content)

    getContent = get_content
