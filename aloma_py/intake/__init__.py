"""TEMPORARY minimal intake so that others can run: the owner of intake/ replaces this whole file."""
from __future__ import annotations
import base64, copy, itertools, os
from aloma_py.errors import PayloadError
from aloma_py.models import Limits, Task
_c = itertools.count()
def check_name(name, limits=Limits()):
    if not isinstance(name, str) or not name or len(name) > 200: raise PayloadError("bad name")
    return name
def check_tags(tags): return list(tags)
def check_data(value, limits): return 0
def nearly_full(size, limits): return None
def new_task_id(now):
    raw = now.to_bytes(6, "big") + (next(_c) % 65536).to_bytes(2, "big") + os.urandom(4)
    return "task-" + base64.b32encode(raw).decode().lower().rstrip("=")[:20]
def new_task(workspace, name, data, *, tags=(), via=None, now, due_at=None, parent=None, into=None, wait_for=False, limits, id=None):
    tid = id or new_task_id(now)
    data = copy.deepcopy(dict(data))
    data["$via"] = {"id": tid, "name": name, "type": "api", "received": now, **(via or {}), **(data.get("$via") or {})}
    return Task(id=tid, workspace=workspace, name=name, data=data, initial=copy.deepcopy(data), created_at=now, tags=list(tags), due_at=due_at, parent=parent, into=into, wait_for=wait_for, updated_at=now)
