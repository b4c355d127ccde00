"""What a run asks for beside its changes. Kept while it runs; becomes true only when the run is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from aloma_py.models import AuditEntry, Json, Millis, Visualization


@dataclass(frozen=True, slots=True)
class Subtask:
    """A child task that a run asked for."""

    id: str
    name: str
    data: dict[str, Json]
    into: str | None
    wait_for: bool
    delay: Millis


@dataclass(slots=True)
class Effects:
    """``None`` and empty mean: not asked for."""

    completed: bool = False
    result: Json = None  # of complete()
    ignored: bool = False
    parked: bool = False
    park: Millis | None = None  # how long; None with parked: until its data is changed from outside
    redo: bool = False
    expires_at: Millis | None = None
    on_expire: Json = None  # {"result": …} where expiring means done
    person: str | None = None  # what a person is asked for
    name: str | None = None
    tags: list[str] | None = None
    subtasks: list[Subtask] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)
    visualizations: list[Visualization] = field(default_factory=list)

    def in_words(self) -> tuple[str, ...]:
        """For the task's history."""
        words = []
        if self.completed:
            words.append("complete")
        if self.ignored:
            words.append("ignore")
        if self.parked:
            words.append("park" if self.park is None else f"park {self.park} ms")
        if self.redo:
            words.append("redo")
        if self.expires_at is not None:
            words.append("timeout")
        if self.on_expire is not None:
            words.append("completeOnExpire")
        if self.person is not None:
            words.append(f"ask a person: {self.person}")
        if self.name is not None:
            words.append(f"name {self.name!r}")
        if self.tags is not None:
            words.append(f"tags {', '.join(self.tags) or '(none)'}")
        words += [f"subtask {child.name!r} ({child.id})" for child in self.subtasks]
        words += [f"{entry.kind} {entry.text!r}" for entry in self.audit]
        words += [f"visualize {picture.type} {picture.name!r}" for picture in self.visualizations]
        return tuple(words)
