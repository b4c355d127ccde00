"""Kinds of connectors, their configurations, and what these refer to."""

from __future__ import annotations

from typing import Any, Literal

import pluggy
import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from aloma_py import plugins
from aloma_py.connect.kinds import (
    Kinds,
    fields_of,
    in_order,
    is_reference,
    read_config,
    secret_names,
    shown_config,
    texts_in,
)
from aloma_py.connect.references import references_in, resolve
from aloma_py.errors import InputError
from aloma_py.hookspecs import hookimpl


class Account(BaseModel):
    user: str
    password: SecretStr


class MailConfig(BaseModel):
    host: str = Field(alias="smtpHost", description="the server")
    token: SecretStr = Field(alias="apiToken")
    port: int = 25
    mode: Literal["plain", "tls"] = "tls"
    more: dict[str, SecretStr] | None = None
    accounts: list[Account] = []

    @field_validator("host")
    @classmethod
    def _known(cls, host: str) -> str:
        if host == "nowhere":
            raise ValueError("there is no such host")
        return host


class Mail:
    name = "E-Mail (SMTP)"
    description = "Sends mail."
    config = MailConfig

    def make(self, namespace: str, config: MailConfig) -> Any: ...


GOOD = {"smtpHost": "mail.example", "apiToken": "s3cret-token"}


def test_the_fields_of_a_kind_are_those_of_its_model() -> None:
    found = {one.name: one for one in fields_of(Mail())}
    assert [*found] == ["smtpHost", "apiToken", "port", "mode", "more", "accounts"]
    assert (found["smtpHost"].required, found["smtpHost"].description) == (True, "the server")
    assert (found["port"].type, found["port"].default, found["mode"].type) == ("whole number", 25, "one of plain, tls")
    assert (found["more"].type, found["accounts"].type) == ("object", "list")
    assert secret_names(Mail()) == {"apiToken", "more", "accounts"}, "one within is enough"


def test_a_configuration_is_read_under_the_names_that_are_shown() -> None:
    assert in_order(Mail(), {"host": "h", "token": "t"}) == {"smtpHost": "h", "apiToken": "t"}
    read = read_config(Mail(), GOOD)
    assert isinstance(read, MailConfig)
    assert (read.host, read.token.get_secret_value()) == ("mail.example", "s3cret-token")


@pytest.mark.parametrize(("config", "said"), [
    ({"apiToken": "s3cret-token"}, "the field 'smtpHost' is missing"),
    ({**GOOD, "smtpHots": "x"}, "there is no field 'smtpHots'; did you mean 'smtpHost'?"),
    ({**GOOD, "host": "x"}, "the field 'smtpHost' is given twice"),
    ({**GOOD, "port": "s3cret-port"}, "the field 'port': Input should be a valid integer"),
    ({**GOOD, "mode": "s3cret"}, "the field 'mode': Input should be 'plain' or 'tls'"),
    ({**GOOD, "smtpHost": "nowhere"}, "the field 'smtpHost': there is no such host"),
    ({**GOOD, "apiToken": {"s3cret": 1}}, "the field 'apiToken': Input should be a valid string"),
    ({**GOOD, "more": {"a": ["s3cret"]}}, "the field 'more.a'"),
])  # fmt: skip
def test_what_is_wrong_names_the_field_and_gives_no_value_away(config: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_config(Mail(), in_order(Mail(), config))
    assert said in str(caught.value)
    assert str(caught.value).startswith("E-Mail (SMTP): ")
    assert "s3cret" not in str(caught.value)


def test_what_is_not_known_yet_is_not_judged() -> None:
    assert read_config(Mail(), {**GOOD, "port": "${PORT}"}, ["port"]) is None
    with pytest.raises(InputError, match="'mode'"):
        read_config(Mail(), {**GOOD, "port": "${PORT}", "mode": "x"}, ["port"])


def test_secrets_are_named_and_not_shown() -> None:
    config = {**GOOD, "more": {"a": "b"}, "port": 26}
    assert shown_config(Mail(), config) == ({"smtpHost": "mail.example", "port": 26}, ["apiToken", "more"])
    assert shown_config(None, config) == ({}, ["apiToken", "more", "port", "smtpHost"])
    assert shown_config(Mail(), {"apiToken": "${TOKEN}"}) == ({"apiToken": "${TOKEN}"}, [])


@pytest.mark.parametrize(("value", "found"), [
    ("${A}", True), ("x${A}", False), ("${A}${B}", False), ("$${A}", False), ("${A} ", False), (1, False),
])  # fmt: skip
def test_a_reference_is_nothing_but_one(value: Any, found: bool) -> None:
    assert is_reference(value) is found


def test_every_text_of_a_secret_is_found() -> None:
    assert list(texts_in({"a": ["x", {"b": 12}], "c": None, "d": True, "e": "y"})) == ["x", "12", "y"]


# ── references ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_references_become_values() -> None:
    known = {"HOST": "mail.example", "PORT": 25, "HEADERS": {"a": 1}}
    config = {"a": "https://${HOST}:${PORT}/", "b": "${PORT}", "c": ["${HEADERS}", {"d": "$${HOST}"}], "e": 1, "f": "$"}
    found, wrong = resolve(config, known)
    assert found == {"a": "https://mail.example:25/", "b": 25, "c": [{"a": 1}, {"d": "${HOST}"}], "e": 1, "f": "$"}
    assert wrong == {}
    assert sorted(references_in(config)) == ["HEADERS", "HOST", "PORT", "PORT"]


def test_what_cannot_be_resolved_is_told_by_field() -> None:
    found, wrong = resolve({"a": "${HOTS}", "b": "x${LIST}", "c": "fine"}, {"HOST": "h", "LIST": [1]})
    assert found == {"a": "${HOTS}", "b": "x${LIST}", "c": "fine"}
    assert wrong["a"] == "the workspace has no variable or secret 'HOTS'; did you mean 'HOST'?"
    assert "no text or number" in wrong["b"]


def test_a_value_is_not_looked_into_again() -> None:
    assert resolve({"a": "${A}", "b": "x${A}"}, {"A": "${B}", "B": "no"}) == ({"a": "${B}", "b": "x${B}"}, {})


# ── what plugins offer ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_kind_is_found_and_the_nearest_named() -> None:
    kinds = Kinds([Mail()])
    assert kinds.get("E-Mail (SMTP) (private)").name == "E-Mail (SMTP)"
    with pytest.raises(InputError, match=r"did you mean 'E-Mail \(SMTP\)'\?; there are: E-Mail \(SMTP\)"):
        kinds.get("E-Mail SMTP")


class Named:
    """A plugin that offers and does what it is told."""

    def __init__(self, *kinds: Any, fails: bool = False) -> None:
        self.kinds, self.fails = kinds, fails

    @hookimpl
    def register_connector_kinds(self, register: Any) -> None:
        for kind in self.kinds:
            register(kind)
        if self.fails:
            raise OSError("no network")

    @hookimpl
    def register_connectors(self, register: Any) -> None:
        if self.fails:
            raise OSError("no network")


def test_a_broken_plugin_or_kind_stops_none_of_the_others() -> None:
    manager, _ = plugins.load_plugins(installed=False)
    nothing, no_model = type("Nothing", (), {})(), type("NoModel", (), {"name": "x", "config": dict})()
    manager.register(Named(nothing, no_model, Mail(), fails=True), "first")
    manager.register(Named(Mail()), "second")
    broken: list[plugins.BrokenPlugin] = []
    kinds = plugins.connector_kinds(manager, broken)
    assert {kind.name for kind in kinds} == {"E-Mail (SMTP)", "http"}
    told = [(one.name, one.error) for one in broken]
    assert ("first", "OSError: no network") in told
    assert sum("already" in error for _, error in told) == 1
    assert sum("it has no name" in error or "pydantic.BaseModel" in error for _, error in told) == 2
    broken.clear()
    assert {one.namespace for one in plugins.connector_registry(manager, broken)} >= {"fetch", "utils"}
    assert [one.name for one in broken] == ["first"]
    assert isinstance(manager, pluggy.PluginManager)


def test_a_model_that_takes_more_takes_more() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    kind = type("Kind", (), {"name": "open", "description": "", "config": Open, "make": lambda *_: None})()
    assert in_order(kind, {"whatever": 1}) == {"whatever": 1}
