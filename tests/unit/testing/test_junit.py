"""Results as JUnit XML."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from aloma_py.errors import InputError
from aloma_py.testing import ScenarioResult, junit_xml, write_junit


def test_cases_failures_and_errors(folder: Any) -> None:
    results = folder.run(
        """
        - {name: good, task: {a: 1}}
        - {name: "not <good>", task: {a: 1}, expect: {state: done}}
        - {name: bad, tusk: 1}
        """
    )
    write_junit(folder.path / "report.xml", results)

    top = ElementTree.parse(folder.path / "report.xml").getroot()

    assert (top.tag, top.get("tests"), top.get("failures"), top.get("errors")) == ("testsuites", "3", "1", "1")
    (suite,) = top
    assert suite.get("name", "").endswith("some.scenario.yaml")
    good, failed, broken = suite
    assert (good.get("name"), good.get("line"), len(good)) == ("good", "3", 0)
    assert failed.get("name") == "not <good>"
    assert failed[0].tag == "failure"
    assert failed[0].get("message") == "state: expected done, but it is attention (no step has ever matched)"
    assert (failed[0].text or "").endswith("attention: no step has ever matched")
    assert broken[0].tag == "error"


def test_characters_that_xml_cannot_hold() -> None:
    text = junit_xml([ScenarioResult("f", "a\x00b", failures=("x\x1b[0m \ud800",))])
    case = ElementTree.fromstring(text)[0][0]
    assert (case.get("name"), case[0].get("message")) == ("a\ufffdb", "x\ufffd[0m \ufffd")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        write_junit(tmp_path / "no" / "report.xml", [])
    assert str(caught.value).endswith("report.xml' cannot be written: No such file or directory")
