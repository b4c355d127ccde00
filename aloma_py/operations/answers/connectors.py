"""What operations on connectors and on modules answer."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from aloma_py.models import Json


class ConnectorShown(TypedDict):
    """A connector; ``secrets`` are the names of the members of its configuration that are not shown in ``config``.

    ``state`` is ``ready``, ``disabled`` or ``unavailable``; ``problem`` says why it is not available.
    """

    namespace: str
    name: str
    kind: str
    tags: list[str]
    enabled: bool
    state: str
    problem: str | None
    config: dict[str, Json]
    secrets: list[str]
    created_at: str
    updated_at: str
    updated_by: str


class ChangedConnector(ConnectorShown):
    """A connector that was just made or changed; ``active``: whether the steps have it so from now on.

    ``warning`` says why they do not, where it is stored but could not be brought in.
    """

    active: bool
    warning: NotRequired[str]


class DeletedConnector(TypedDict):
    """What was deleted; ``active`` and ``warning`` as of a change."""

    namespace: str
    name: str
    deleted: bool
    active: bool
    warning: NotRequired[str]


class FieldShown(TypedDict):
    """A member of a configuration; ``type`` is a word for people."""

    name: str
    type: str
    required: bool
    secret: bool
    description: str
    default: Json


class KindShown(TypedDict):
    """A kind of connectors that can be added, with what its configuration consists of."""

    name: str
    title: str
    description: str
    fields: list[FieldShown]


class ConnectorCheck(TypedDict):
    """Whether a connector works; ``ok`` is null where its kind cannot tell, ``said`` is what was found."""

    namespace: str
    ok: bool | None
    said: str


class CallShown(TypedDict):
    """A recorded call; ``outcome`` is ``returned`` or ``raised``, ``milliseconds`` is how long it took."""

    task: str
    step: str
    method: str
    outcome: str
    at: str
    milliseconds: int
    arguments: Json
    answer: Json


class ComparedConnector(TypedDict):
    """What there would be to do: ``add``, ``change`` or ``same``; ``differs`` are the parts that are not the same."""

    namespace: str
    name: str
    action: str
    differs: list[str]
    warning: str | None


class ConnectorState(TypedDict):
    """A connector that there is; ``state`` is for ``restore_connector``, nobody else can read it."""

    namespace: str
    name: str
    state: str


class ConnectorsCompared(TypedDict):
    """What is asked for, beside what there is."""

    asked: list[ComparedConnector]
    there: list[ConnectorState]


class ModulesAnswer(TypedDict):
    """Where a workspace's steps come from, and how many there are; ``active``: whether they run so from now on."""

    modules: list[str]
    steps: int
    active: bool
    warning: NotRequired[str]
