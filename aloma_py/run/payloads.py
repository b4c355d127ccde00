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
        packed = pack(content)
        return self._context.begin(f"file.write({name!r})", lambda: self._write(name, packed))

    def read(self, name: str) -> Any:
        """What was written under that name, as it was written; raises where there is none. ``async`` steps await it."""
        return self._context.begin(f"file.read({name!r})", lambda: self.read_now(name))

    async def write_now(self, name: str, content: Any) -> None:
        """The same as :meth:`write`, for code that waits itself."""
        await self._write(name, pack(content))

    async def read_now(self, name: str) -> Any:
        return unpack(await self._context.services.store.read_file(str(name)))

    async def _write(self, name: str, packed: bytes) -> None:
        services = self._context.services
        await services.store.write_file(str(name), packed, services.clock.now())


class BlobHandle:
    """Payloads by id, kept as long as their task."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def create(self, blob: dict[str, Any] | None = None, **named: Any) -> Any:
        """Keep ``{content, name?, mimetype?, …}``; gives the id. ``content`` is text, bytes or a JSON value."""
        record = self._record({**(blob or {}), **named})
        return self._context.begin("blob.create", lambda: self._put(record))

    def get(self, blob_id: str) -> Any:
        """``{id, name, mimetype, size, …}`` of a blob, without its content."""
        return self._context.begin("blob.get", lambda: self.get_now(blob_id))

    def get_content(self, blob_id: str) -> Any:
        """A blob's content: text and bytes as they were, a JSON value as its text."""
        return self._context.begin("blob.getContent", lambda: self.content_now(blob_id))

    getContent = get_content

    async def create_now(self, given: dict[str, Any]) -> str:
        """The same as :meth:`create`, for code that waits itself."""
        return await self._put(self._record(given))

    async def get_now(self, blob_id: str) -> dict[str, Any]:
        blob = await self._context.services.store.get_blob(blob_id)
        about = {"id": blob.id, "name": blob.name, "mimetype": blob.mimetype, "size": len(blob.content) - 1}
        return {**(blob.meta or {}), **about}

    async def content_now(self, blob_id: str) -> Any:
        value = unpack((await self._context.services.store.get_blob(blob_id)).content)
        return value if isinstance(value, (str, bytes)) else jsontext.dumps(value)

    def _record(self, given: dict[str, Any]) -> Blob:
        if "content" not in given:
            raise RunError("blob.create needs content")
        content = given.pop("content")
        return Blob(
            id=f"blob-{secrets.token_hex(12)}",
            task=self._context.task.id,
            name=given.pop("name", None),
            mimetype=given.pop("mimetype", None),
            content=pack(content),
            meta=plain(given),
            created_at=self._context.services.clock.now(),
        )

    async def _put(self, record: Blob) -> str:
        await self._context.services.store.put_blob(record)
        return record.id
