"""Tasks in files: JSON, or YAML for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from aloma_py.errors import InputError, PayloadError
from aloma_py.intake.checks import check_data, check_size, describe
from aloma_py.intake.jsontask import read_task_json
from aloma_py.models import Json, Limits

_YAML: Final = (".yaml", ".yml")


def read_task_file(path: str | Path, limits: Limits | None = None) -> dict[str, Json]:
    """The task data in a ``.json``, ``.yaml`` or ``.yml`` file.

    YAML may hold what JSON can: no dates, no keys but texts, no member twice. Raises
    :class:`~aloma_py.errors.InputError` where the file cannot be read or is of another kind, and
    :class:`~aloma_py.errors.PayloadError` for what is in it.
    """
    place = Path(path)
    limits = limits or Limits()
    kind = place.suffix.lower()
    if kind not in (".json", *_YAML):
        raise InputError(f"the task file {place} ends in {kind or 'nothing'!r}; .json, .yaml or .yml was expected")
    try:
        # One byte more than allowed is enough to know that it is too large.
        with place.open("rb") as file:
            content = file.read(limits.max_data_bytes + 1)
        if len(content) > limits.max_data_bytes:
            check_size(max(place.stat().st_size, len(content)), limits, str(place))
    except OSError as error:
        raise InputError(f"the task file {place} cannot be read: {error.strerror}") from error
    if kind == ".json":
        return read_task_json(content, where=str(place), limits=limits)
    return _read_yaml(content, str(place), limits)


def _read_yaml(content: bytes, where: str, limits: Limits) -> dict[str, Json]:
    from ruamel.yaml import YAML  # here, since most programs read no YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        value: Any = YAML(typ="safe", pure=True).load(content)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = (error.problem or error.context or "it is no YAML").splitlines()[0]
        raise PayloadError(f"{where}: {position}{problem}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        first = (str(error) or "it is nested far too deep to be read").splitlines()[0]
        raise PayloadError(f"{where}: it cannot be read as YAML: {first}") from None
    if not isinstance(value, dict):
        raise PayloadError(f"{where} is {describe(value)}; an object was expected")
    check_data(value, limits, where=where)
    return value
