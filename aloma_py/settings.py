"""What can be set from the environment (``ALOMA_…``) or on the command line; the command line wins."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from aloma_py.durations import parse_duration
from aloma_py.models import Limits

DEFAULT_WORKSPACE: Final = "default"
"""The workspace that is always there."""


class Settings(BaseSettings):
    """The installation's settings. ``ALOMA_STORE=/var/lib/aloma/tasks.db`` sets :attr:`store`, and so on."""

    model_config = SettingsConfigDict(env_prefix="ALOMA_", extra="ignore", frozen=True)

    store: Path = Field(Path("aloma.db"), description="the SQLite file; its lock, key and socket lie beside it")
    workspace: str = Field(DEFAULT_WORKSPACE, description="the workspace that commands mean")
    http: str = Field("127.0.0.1:8765", description="where `serve` listens for HTTP, HOST:PORT; `off`: nowhere")
    proxies: str = Field("", description="addresses of proxies whose X-Forwarded-For is believed, with commas")
    url: str = Field("", description="a server elsewhere, https://HOST, that commands talk to instead of a local store")
    key: str = Field("", repr=False, description="the API key for it")
    log_level: str = Field("info", description="what `serve` logs: a level, or `access=info` and such, with commas")
    smtp: str = Field("", repr=False, description="the mail server for notifications, smtp://USER:PASSWORD@HOST:587")
    mail_from: str = Field("", description="the address that mails are from; empty: the user of the mail server")
    public_url: str = Field(
        "",
        description="where people reach the server, https://HOST, for links in notifications and addresses of webhooks",
    )
    refused_addresses: str = Field(
        "169.254.0.0/16,fe80::/10,fd00:ec2::254/128",
        description="networks that connectors and git may not reach, with commas; as it is, those of cloud metadata",
    )
    keep_tasks_days: float = Field(30, gt=0, description="how long ended tasks are kept")
    keep_logs_days: float = Field(14, gt=0, description="how long log lines are kept")
    max_active: int = Field(256, ge=1, description="how many tasks are advanced at once")
    max_runs: int = Field(1000, ge=1, description="how many steps a task may run")
    max_redo: int = Field(100, ge=1, description="how many redos in a row may change nothing")
    max_data_bytes: int = Field(1024 * 1024, ge=1024, description="how large a task's data may be")
    step_timeout: str = Field("30s", description="how long an attempt of a step may run")
    max_hold: int = Field(2000, ge=10, description="milliseconds of CPU that JavaScript may take without a pause")
    max_script_memory: int = Field(256, ge=16, description="megabytes that the JavaScript of a workspace may take")
    script_workers: int = Field(0, ge=0, description="processes that run JavaScript; 0: one for each core")
    parallel: bool = Field(True, description="whether independent steps of one task share a wave")


def limits_of(settings: Settings) -> Limits:
    """The limits that the settings give a workspace's tasks."""
    return Limits(
        max_runs=settings.max_runs,
        max_redo=settings.max_redo,
        max_data_bytes=settings.max_data_bytes,
        step_timeout=parse_duration(settings.step_timeout, "step_timeout"),
        parallel=settings.parallel,
        max_hold=settings.max_hold,
        max_script_memory=settings.max_script_memory,
    )
