"""YAML is read as JSON with lines; what JSON has not is refused with the place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloma_py import jsontext
from aloma_py.errors import LoadError
from aloma_py.testing.yamlfile import read_yaml


def test_values_and_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text('a: {b: [1, 2.5, "3"]}\nday: 2026-01-01\nanswer: no\nlist:\n  - true\n  - ~\n')

    item = read_yaml(file)

    assert item.value == {"a": {"b": [1, 2.5, "3"]}, "day": "2026-01-01", "answer": "no", "list": [True, None]}
    assert item["list"][1].line == 6
    assert item["list"][1].where == "list.1"


def test_aliases_and_merged_mappings(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("one: &one {a: 1, b: 2}\ntwo: {<<: *one, b: 3}\nthree: *one\n")
    assert read_yaml(file).value == {"one": {"a": 1, "b": 2}, "two": {"a": 1, "b": 3}, "three": {"a": 1, "b": 2}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: the key 'a' is there twice, first at line 1"),
        ("x:\n  a: 1\n  a: 2\n", "f.yaml:3: x: the key 'a' is there twice, first at line 2"),
        ("a: [1\nb: 2", "f.yaml:2: this is no YAML: expected ',' or ']', but got ':'"),
        ("a: &x [*x]", "f.yaml:1: a.0: this alias contains itself"),
        ("a: .inf", "f.yaml:1: a: JSON has no number .inf"),
        ("a: !!python/name:os.system", "f.yaml:1: a: YAML's tag:yaml.org,2002:python/name:os.system is no JSON value"),
        ("? [a]\n: 1", "f.yaml:1: a key must be text"),
        ("", "f.yaml: the file is empty"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(text)
    with pytest.raises(LoadError) as caught:
        read_yaml(file, "f.yaml")
    assert str(caught.value) == message


def test_aliases_that_unfold_without_end_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    file.write_text("\n".join(rows))
    with pytest.raises(LoadError, match="its aliases unfold to more than 200,000 values"):
        read_yaml(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LoadError) as caught:
        read_yaml(tmp_path / "none.yaml", "none.yaml")
    assert str(caught.value) == "none.yaml: the file cannot be read: No such file or directory"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cc"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(value=json_values)
def test_json_is_read_as_what_it_is(value: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(jsontext.dumps(value), encoding="utf-8")
    read = read_yaml(file).value
    assert read == value
    assert type(read) is type(value)
