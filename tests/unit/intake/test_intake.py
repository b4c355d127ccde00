"""What comes in: tasks, or errors by their text (SPEC §5)."""

from __future__ import annotations

import datetime
import decimal
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloma_py.errors import InputError, PayloadError
from aloma_py.intake import (
    check_data,
    check_name,
    check_tags,
    nearly_full,
    new_task,
    new_task_id,
    read_task_file,
    read_task_json,
)
from aloma_py.models import Limits

ANY_TEXT = st.text(st.characters(exclude_categories=()))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "order.json: the text is empty; a JSON object was expected"),
        ('{"a": tru}', "order.json: line 1, column 7: 'tru' is no JSON here; a value was expected"),
        ('{"a":\n [1,]}', "order.json: line 2, column 5: ']' is no JSON here; a value was expected"),
        (
            '{"a": 1',
            "order.json: line 1, column 8: the text ends too early; ',' or the end of the object or array was expected",
        ),
        ("{a: 1}", "order.json: line 1, column 2: 'a' is no JSON here; a member's name in double quotes was expected"),
        ('{"a" 1}', "order.json: line 1, column 6: '1' is no JSON here; ':' was expected after the member's name"),
        (
            "{} {}",
            "order.json: line 1, column 4: '{' is no JSON here; the end of the text was expected after one value",
        ),
        (
            '{"a": "x}',
            "order.json: line 1, column 7: no JSON; a closing '\"' was expected for the text that begins here",
        ),
        ("[1]", 'order.json is an array; an object was expected, like {"order": {…}}'),
        ("null", 'order.json is null; an object was expected, like {"order": {…}}'),
        ('{"a": {"b": 1, "b": 2}}', "order.json.a has the member 'b' twice; every name may stand there once"),
        ('{"a": [NaN]}', "order.json.a.0 is NaN, which JSON does not have; a number or null was expected"),
        ('{"a": -Infinity}', "order.json.a is -Infinity, which JSON does not have; a number or null was expected"),
        ('{"a": [0, {"b": 1e400}]}', "order.json.a.1.b is 1e400, too large a number; at most 1.8e308 was expected"),
        ('{"a": ' + "9" * 5000 + "}", "order.json.a is a number of 5,000 digits; at most 4300 were expected"),
        (b'{"a": "\xff"}', "order.json is not UTF-8 text: line 1, byte 8 of the whole is 0xff, which cannot be there"),
        ("[" * 200_000, "order.json is nested far too deep to be read"),
        (
            '{"a":' * 65 + "1" + "}" * 65,
            "order.json.a.a.a… is more than 64 levels deep; at most 64 objects and arrays may stand inside each other",
        ),
        (
            '{"a": "' + "x" * 1_048_576 + '"}',
            "order.json is 1,048,585 bytes, more than the limit of 1,048,576 bytes",
        ),
    ],
)
def test_json_that_is_no_task_is_refused_with_place_and_expectation(text: str | bytes, message: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read_task_json(text, where="order.json")
    assert str(caught.value) == message


def test_json_at_the_limits_is_taken() -> None:
    deepest = '{"a":' * 64 + "1" + "}" * 64
    assert json.dumps(read_task_json(deepest), separators=(",", ":")) == deepest
    assert read_task_json(b'\xef\xbb\xbf{"a": 1.0}') == {"a": 1.0}
    assert read_task_json('\ufeff{"a": "\\ud800"}') == {"a": "\ud800"}
    largest = json.dumps({"a": "x" * (1_048_576 - 9)})
    assert len(largest) == 1_048_576
    assert len(read_task_json(largest)["a"]) == 1_048_567


@given(st.dictionaries(ANY_TEXT, JSON, max_size=4))
@settings(deadline=None, max_examples=200)
def test_every_json_object_is_read_as_it_is(data: dict[str, Any]) -> None:
    assert repr(read_task_json(json.dumps(data))) == repr(data)
    task = new_task("main", None, data, now=1)
    assert repr((task.data, task.initial)) == repr((data, data))
    assert check_data(data) > 0


@given(st.text() | st.binary() | st.text('{}[]",:0123456789.eE+-tnu\\ ', max_size=30))
@settings(deadline=None, max_examples=300)
def test_no_text_makes_it_crash(text: str | bytes) -> None:
    try:
        read_task_json(text)
    except PayloadError as error:
        assert str(error).startswith("data")


def circular() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["a"] = [value]
    return value


def laughing() -> dict[str, Any]:
    value: list[Any] = ["ha"] * 9
    for _ in range(12):
        value = [value] * 9
    return {"a": value}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "data is an array; an object was expected"),
        (
            {"a": {"b": datetime.date(2024, 1, 1)}},
            "data.a.b is a date, which JSON does not have; write it as text, in quotes or by .isoformat()",
        ),
        (
            {"a": decimal.Decimal(1)},
            "data.a is a Decimal, which JSON does not have; write it as text by str(…), or as a number by float(…)",
        ),
        ({"a": (1, 2)}, "data.a is a tuple, which JSON does not have; write it as a list"),
        ({"a": object()}, "data.a is a bare object(), which JSON does not have"),
        ({"a": {7: 1}}, "data.a has the key 7, a number; keys are texts: put it in quotes"),
        ({"a": [float("inf")]}, "data.a.0 is inf; JSON has no such number"),
        ({"a": -(10**4300)}, "data.a is a number of more than 4300 digits, which cannot be kept"),
        (circular(), "data.a.0 contains itself; JSON cannot say that"),
        (laughing(), "data is larger than the limit of 1,048,576 bytes"),
        ({"a": "x" * 1_048_576}, "data is 1,048,584 bytes, more than the limit of 1,048,576 bytes"),
    ],
)
def test_python_values_that_are_no_json_are_named(value: Any, message: str) -> None:
    with pytest.raises(PayloadError) as caught:
        new_task("main", "x", value, now=1)
    assert str(caught.value) == message


def test_the_size_is_that_of_the_stored_text() -> None:
    assert check_data({"a": "é"}) == len('{"a":"é"}'.encode())


def test_nearly_full_speaks_from_80_percent_on() -> None:
    limits = Limits(max_data_bytes=1000)
    assert nearly_full(799, limits) is None
    assert nearly_full(800, limits) == "the data is 800 bytes, 80 % of the limit of 1,000 bytes"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "the task's name is empty; a text of 1 to 200 characters was expected"),
        (" \t", "the task's name is empty; a text of 1 to 200 characters was expected"),
        ("x" * 201, "the task's name has 201 characters; at most 200 were expected"),
        ("a\nb", "the task's name has a control character (U+000A) at place 2; printable text was expected"),
        ("\ud800", "the task's name has a control character (U+D800) at place 1; printable text was expected"),
        (7, "the task's name is a number; a text was expected"),
    ],
)
def test_names_that_cannot_be_are_refused(name: Any, message: str) -> None:
    with pytest.raises(PayloadError) as caught:
        check_name(name)
    assert str(caught.value) == message


def test_names_and_tags_that_can_be_are_kept() -> None:
    assert check_name("Ünïcode 🎈 order\u00a07") == "Ünïcode 🎈 order\u00a07"
    assert check_tags(["b", "a", "b"]) == ["b", "a"]
    with pytest.raises(PayloadError, match="the task's tag 2 is empty"):
        check_tags(["a", ""])
    with pytest.raises(PayloadError, match="the task's tags are a text; a list of texts was expected"):
        check_tags("urgent")
    with pytest.raises(PayloadError, match="the task has 101 tags; at most 100 were expected"):
        check_tags([str(n) for n in range(101)])


def test_a_new_task_has_its_own_data_and_knows_where_it_came_from() -> None:
    data = {"list": [1]}
    task = new_task("main", None, data, tags=["x"], via={"id": "w1", "name": "orders", "type": "webhook"}, now=5)
    assert task.data == {"list": [1], "$via": {"received": 5, "id": "w1", "name": "orders", "type": "webhook"}}
    assert task.initial == task.data
    task.data["list"].append(2)
    assert (task.initial["list"], data) == ([1], {"list": [1]})
    assert (task.name, task.tags, task.state, task.created_at, task.revision) == ("task", ["x"], "pending", 5, 0)


def test_a_given_via_wins_member_by_member() -> None:
    task = new_task("main", "x", {"$via": {"name": "mine"}}, via={"name": "cli", "type": "cli"}, now=5)
    assert task.data["$via"] == {"received": 5, "id": None, "name": "mine", "type": "cli"}
    assert "$via" not in new_task("main", "x", {}, now=5).data
    with pytest.raises(PayloadError, match=r"data\.\$via is a text; an object was expected"):
        new_task("main", "x", {"$via": "me"}, via={"type": "cli"}, now=5)


def test_ids_sort_in_the_order_they_were_made() -> None:
    ids = [new_task_id(now) for now in (1_700_000_000_000, 1_700_000_000_001, 1_800_000_000_000) for _ in range(2000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 6000
    assert all(len(one) == 25 and one.startswith("task-") for one in ids)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "{}", "a.txt ends in '.txt'; .json, .yaml or .yml was expected"),
        (
            "a.json",
            "{",
            "a.json: line 1, column 2: the text ends too early; a member's name in double quotes was expected",
        ),
        ("a.yaml", "- 1", "a.yaml is an array; an object was expected"),
        ("a.yaml", "", "a.yaml is null; an object was expected"),
        (
            "a.yaml",
            "a: 1\na: 2",
            'a.yaml: line 2, column 1: found duplicate key "a" with value "2" (original value: "1")',
        ),
        (
            "a.yml",
            "a: 2024-01-01",
            "a.yml.a is a date, which JSON does not have; write it as text, in quotes or by .isoformat()",
        ),
        ("a.yml", "1: x", "a.yml has the key 1, a number; keys are texts: put it in quotes"),
        ("a.yml", "a: .nan", "a.yml.a is nan; JSON has no such number"),
        ("a.yml", "a: &x [*x]", "a.yml.a.0 contains itself; JSON cannot say that"),
        ("a.yml", "a: [1", "a.yml: line 1, column 6: expected ',' or ']', but got '<stream end>'"),
        (
            "a.yml",
            "a: !!python/name:os.system x",
            "could not determine a constructor for the tag 'tag:yaml.org,2002:python/name:os.system'",
        ),
    ],
)
def test_files_that_are_no_task_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as caught:
        read_task_file(tmp_path / name)
    assert str(caught.value).endswith(message)


def test_task_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("order:\n  id: 'A-1'\n  lines: [1, 2.5, yes, null, true]\n")
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"order": 1}')
    assert read_task_file(tmp_path / "a.yaml") == {"order": {"id": "A-1", "lines": [1, 2.5, "yes", None, True]}}
    assert read_task_file(tmp_path / "a.json") == {"order": 1}
    with pytest.raises(InputError, match=r"the task file .*b\.json cannot be read: No such file or directory"):
        read_task_file(tmp_path / "b.json")
    (tmp_path / "big.json").write_text(" " * 2000)
    with pytest.raises(PayloadError, match=r"big\.json is 2,000 bytes, more than the limit of 100 bytes"):
        read_task_file(tmp_path / "big.json", Limits(max_data_bytes=100))
