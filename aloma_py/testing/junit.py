"""The results of scenarios as JUnit XML, which CI systems read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from aloma_py.errors import InputError
from aloma_py.testing.result import ScenarioResult

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(results: Sequence[ScenarioResult]) -> str:
    """A ``testsuite`` for each file and a ``testcase`` for each scenario.

    One that failed holds its failures and its timeline; one that could not be run counts as an error.
    """
    top = ElementTree.Element("testsuites", _totals(results))
    for file, group in groupby(results, key=lambda result: result.file):
        cases = list(group)
        suite = ElementTree.SubElement(top, "testsuite", {"name": _clean(file), **_totals(cases)})
        for result in cases:
            _add_case(suite, result)
    ElementTree.indent(top)
    return ElementTree.tostring(top, encoding="unicode", xml_declaration=False) + "\n"


def write_junit(path: str | Path, results: Sequence[ScenarioResult]) -> None:
    """Write :func:`junit_xml` to a file. Raises :class:`~aloma_py.errors.InputError` where it cannot be written."""
    text = f'<?xml version="1.0" encoding="utf-8"?>\n{junit_xml(results)}'
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"the JUnit file {str(path)!r} cannot be written: {error.strerror}") from None


def _add_case(suite: ElementTree.Element, result: ScenarioResult) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        {
            "classname": _clean(result.file),
            "name": _clean(result.name or "the file"),
            "file": _clean(result.file),
            "time": f"{result.seconds:.3f}",
        },
    )
    if result.line is not None:
        case.set("line", str(result.line))
    if not result.passed:
        kind = "failure" if result.outcome is not None else "error"
        failure = ElementTree.SubElement(case, kind, {"message": _clean(result.failures[0])})
        failure.text = _clean("\n".join([*result.failures, "", *result.timeline()]))


def _totals(results: Sequence[ScenarioResult]) -> dict[str, str]:
    errors = sum(result.outcome is None for result in results)
    failures = sum(not result.passed for result in results) - errors
    return {
        "tests": str(len(results)),
        "failures": str(failures),
        "errors": str(errors),
        "time": f"{sum(result.seconds for result in results):.3f}",
    }


def _clean(text: str) -> str:
    """The text without characters that XML cannot hold."""
    return _NO_XML.sub("�", text)
