"""The kind ``http``: requests to one service, with its address and credentials kept out of the steps.

Credentials go to the service's own host and to no other, neither by an absolute address nor by a redirect.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Annotated, Any, Final

import httpx2
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator

from aloma_py.builtin.messages import answer_of, check_known, check_options, content_of, headers_of, read_request
from aloma_py.connect import outbound
from aloma_py.connect.connector import CallContext, Connector
from aloma_py.connect.kinds import ConnectorKind
from aloma_py.durations import parse_duration
from aloma_py.errors import CallError, InputError
from aloma_py.hookspecs import hookimpl
from aloma_py.models import Json, Millis

MOST_REDIRECTS: Final = 10

VERBS: Final = ("get", "post", "put", "patch", "delete")
SHORT: Final = ("url", "query", "headers", "body", "text", "timeout", "bodyOnly")
"""What the methods that are named like a verb take."""

_KEPT: Final = frozenset({"accept", "accept-encoding", "accept-language", "content-length", "content-type", "host",
                          "range", "transfer-encoding", "user-agent"})  # fmt: skip
"""Headers that another host gets: they say nothing of who asks."""

_TELLING: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
"""Headers that are credentials."""


def _timeout(value: Any) -> Any:
    text = value.strip() if isinstance(value, str) else ""
    try:
        found = parse_duration(int(text) if text.isdecimal() else value, "it")
    except InputError as error:
        raise ValueError(str(error)) from None
    if not 0 < found <= 3_600_000:
        raise ValueError("more than nothing and at most 1h was expected")
    return found


class HttpConfig(BaseModel):
    """The configuration of a connector of the kind ``http``. Of the three ways to show who asks, one or none."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    base_url: str = Field(description="the address that every request's url is appended to")
    headers: dict[str, str] = Field({}, description="sent with every request")
    secret_headers: dict[str, SecretStr] = Field({}, description="the same, with values that are secrets")
    bearer_token: SecretStr | None = Field(None, description="sent as Authorization: Bearer …")
    username: str | None = Field(None, description="of basic authentication, with password")
    password: SecretStr | None = Field(None, description="of basic authentication, with username")
    api_key: SecretStr | None = Field(None, description="sent as what api_key_header or api_key_query names")
    api_key_header: str | None = Field(None, description="the header that api_key is sent in")
    api_key_query: str | None = Field(None, description="the query parameter that api_key is sent in")
    timeout: Annotated[Millis | str, BeforeValidator(_timeout)] = Field(
        30_000, description="of a request: 30s, or a number of milliseconds"
    )
    allow_other_hosts: bool = Field(False, description="also absolute addresses elsewhere, without credentials")
    check_path: str = Field("", description="what `connector test` asks for, below base_url")

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, text: str) -> str:
        try:
            url = httpx2.URL(text)
        except httpx2.InvalidURL as error:
            raise ValueError(f"it is no address: {error}") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError("https://HOST or https://HOST/PATH was expected")
        if url.userinfo:
            raise ValueError("a password must not stand in the address: give username and password")
        if url.query or url.fragment:
            raise ValueError("an address without ?… and #… was expected")
        return text

    @field_validator("headers", "secret_headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, Any]) -> dict[str, Any]:
        for name, value in headers.items():
            _check_header(name, value.get_secret_value() if isinstance(value, SecretStr) else value)
        return headers

    @model_validator(mode="after")
    def _one_way(self) -> HttpConfig:
        ways = [self.bearer_token is not None, self.username is not None or self.password is not None,
                self.api_key is not None]  # fmt: skip
        if sum(ways) > 1:
            raise ValueError("one of bearer_token, username with password, and api_key was expected, not several")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together; one of them is missing")
        places = (self.api_key_header is not None) + (self.api_key_query is not None)
        if places != (self.api_key is not None):
            raise ValueError("api_key goes with one of api_key_header and api_key_query")
        for name in self.headers:
            if name.lower() in _TELLING:
                raise ValueError(f"headers: {name!r} would be shown to everybody: put it into secret_headers")
        self.credentials()
        return self

    def credentials(self) -> tuple[dict[str, str], dict[str, str]]:
        """``(headers, query parameters)`` that show who asks."""
        headers = {name: value.get_secret_value() for name, value in self.secret_headers.items()}
        query: dict[str, str] = {}
        if self.bearer_token is not None:
            headers["Authorization"] = f"Bearer {self.bearer_token.get_secret_value()}"
        if self.username is not None and self.password is not None:
            pair = f"{self.username}:{self.password.get_secret_value()}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        if self.api_key is not None and self.api_key_header is not None:
            headers[self.api_key_header] = self.api_key.get_secret_value()
        if self.api_key is not None and self.api_key_query is not None:
            query[self.api_key_query] = self.api_key.get_secret_value()
        for name, value in headers.items():
            _check_header(name, value)
        return headers, query


def _check_header(name: str, value: str) -> None:
    """Refuse what cannot be a header; what is said does not have its value in it."""
    if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"{name!r} is no name of a header")
    if not value.isascii() or not value.isprintable():
        raise ValueError(f"the value for the header {name!r} is no printable ASCII text")


class Http:
    """``connectors.<namespace>.request({url, options})``, and ``get post put patch delete`` with ``{url, body, …}``.

    Answers as ``fetch`` does, for any status.
    """

    methods: tuple[str, ...] | None = ("request", *VERBS)
    default: str | None = "request"
    recorded = True

    def __init__(self, namespace: str, config: HttpConfig, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self.namespace = namespace
        self.config = config
        self._base = httpx2.URL(config.base_url)
        self._transport = transport  # tests hand in a httpx2.MockTransport
        self._client: httpx2.AsyncClient | None = None

    async def call(self, method: str, arguments: Json, context: CallContext) -> Json:
        name = f"{self.namespace}.{method}"
        query: dict[str, Any] = {}
        if method == "request":
            url, options, body_only = read_request(name, arguments)
            verb = str(options.get("method", "GET")).upper()
        else:
            url, options, query = _short(name, arguments)
            verb, body_only = method.upper(), bool(options.pop("bodyOnly", False))
        try:
            response = await self._ask(verb, url, query, headers_of(options, context), options)
        except (httpx2.HTTPError, httpx2.InvalidURL, InputError) as error:
            kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
            raise CallError(f"{name} {url}: {kind}{error}") from None  # its cause has the request with it
        return answer_of(response, as_text=bool(options.get("text")), body_only=body_only)

    async def check(self) -> str:
        """What the service answers to a request for ``check_path``; raises where it refuses the credentials."""
        try:
            response = await self._ask("GET", self.config.check_path, {}, {}, {})
        except httpx2.HTTPError as error:
            raise CallError(f"{type(error).__name__}: {error}") from None
        said = f"{self._base.host} answers {response.status_code} {response.reason_phrase}".rstrip()
        if response.status_code in (401, 403, 407):
            raise CallError(f"{said}: it refuses the credentials", response.status_code)
        if response.status_code >= 500:
            raise CallError(said, response.status_code)
        return said

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    # ── one request ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _ask(
        self, verb: str, text: str, query: dict[str, Any], headers: dict[str, str], options: dict[str, Any]
    ) -> httpx2.Response:
        url = self._address(text)
        if query:
            url = url.copy_merge_params(query)
        ours = self._is_ours(url)
        if not ours and not self.config.allow_other_hosts:
            raise InputError(f"this is another host than {self._base.host}: allow_other_hosts is false")
        if self._client is None:
            self._client = outbound.client(self._transport, follow_redirects=False)
        client = self._client
        timeout = options.get("timeout", int(self.config.timeout)) / 1000
        given = httpx2.Headers(self.config.headers if ours else None)
        given.update(headers)
        content = content_of(options.get("body"))
        request = client.build_request(verb, url, headers=given, timeout=timeout, **content)
        for _ in range(MOST_REDIRECTS + 1):
            if ours:
                self._sign(request)
            response = await client.send(request)
            following = response.next_request
            if following is None:
                return response
            ours = ours and self._is_ours(following.url)
            if not ours:  # whoever has left our host is a stranger from then on, wherever he is sent
                for name in [name for name in following.headers if name.lower() not in _KEPT]:
                    del following.headers[name]
            request = following
        raise InputError(f"it was redirected more than {MOST_REDIRECTS} times")

    def _address(self, text: str) -> httpx2.URL:
        """The address that a call's ``url`` means: below the base, or elsewhere."""
        url = httpx2.URL(text)
        if url.userinfo:
            raise InputError("a name or password must not stand in the url")
        if url.host:
            return url if url.scheme else url.copy_with(scheme=self._base.scheme)
        if url.scheme:
            raise InputError(f"a path below {self._base} was expected, or an address with https://")
        if not text:
            return self._base
        if text.startswith("?"):
            joined = self._base.raw_path + url.raw_path.removeprefix(b"/")
        else:
            joined = self._base.raw_path.rstrip(b"/") + b"/" + url.raw_path.lstrip(b"/")
        return self._base.copy_with(raw_path=joined)

    def _is_ours(self, url: httpx2.URL) -> bool:
        """Whether the credentials are for this address; its own host by https is as good as by http."""
        base = self._base
        if url.host != base.host:
            return False
        if (url.scheme, _port(url)) == (base.scheme, _port(base)):
            return True
        return (base.scheme, _port(base), url.scheme, _port(url)) == ("http", 80, "https", 443)

    def _sign(self, request: httpx2.Request) -> None:
        """Put the credentials into a request to our host; what a step gives under the same name does not count."""
        headers, query = self.config.credentials()
        request.headers.update(headers)
        for name, value in query.items():
            request.url = request.url.copy_set_param(name, value)


def _short(name: str, arguments: Json) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """``(url, options, query)`` of a call by a verb's name."""
    if isinstance(arguments, str):
        arguments = {"url": arguments}
    if not isinstance(arguments, dict) or not isinstance(arguments.get("url"), str):
        raise CallError(f"{name} takes {{url: text, query?, headers?, body?}}")
    check_known(name, arguments, SHORT)
    options = {key: value for key, value in arguments.items() if key not in ("url", "query")}
    check_options(name, options, SHORT)
    query = arguments.get("query") or {}
    if not isinstance(query, dict):
        raise CallError(f"{name}: query must be an object")
    return arguments["url"], options, {key: _written(value) for key, value in query.items() if value is not None}


def _written(value: Json) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return [_written(one) for one in value] if isinstance(value, list) else str(value)


def _port(url: httpx2.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


class HttpKind:
    """Any service that speaks HTTP."""

    name = "http"
    title = "HTTP"
    description = "Requests to one service, with its address and credentials kept out of the steps."
    config: type[BaseModel] = HttpConfig

    def make(self, namespace: str, config: HttpConfig) -> Connector:
        return Http(namespace, config)

    async def check(self, connector: Http) -> str:
        return await connector.check()


@hookimpl
def register_connector_kinds(register: Callable[[ConnectorKind], None]) -> None:
    register(HttpKind())
