"""Steps and libraries in JavaScript that are no files."""

from __future__ import annotations

from pathlib import Path

import pytest

from aloma_py.conditions import explain
from aloma_py.errors import LoadError
from aloma_py.operations.scripttexts import compose
from aloma_py.steps import load_steps
from aloma_py.steps.javascript import define
from aloma_py.steps.javascript.define import ScriptText, version_of_text

GREET = "export const condition = {name: String, greeting: null};\nexport const content = async () => {\n  data.greeting = 'Hi';\n};\n"  # noqa: E501
TEXTS = "/** In capitals. */\nexport const loud = (text) => text.toUpperCase();\n"


def step(name: str, text: str = GREET, suffix: str = ".js", enabled: bool = True) -> ScriptText:
    return ScriptText("step", name, suffix, text, enabled)


def test_stored_steps_come_after_those_of_files_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "zz.js").write_text(GREET)
    loaded = load_steps([tmp_path], texts=[step("b"), step("a")])
    assert [one.name for one in loaded.steps] == ["zz", "b", "a"]
    assert loaded.sources == (str(tmp_path / "zz.js"),), "there is no file of a stored step to watch"
    assert [str(one.location) for one in loaded.steps[1:]] == ["b.js:1", "a.js:1"]


def test_the_version_is_the_hash_of_the_text() -> None:
    one, other = load_steps([], texts=[step("a"), step("b", GREET + "// more")]).steps
    assert one.version == version_of_text(GREET)
    assert other.version == version_of_text(GREET + "// more") != one.version
    assert len(one.version) == 12


@pytest.mark.parametrize(
    ("text", "enabled", "expected"),
    [(GREET, True, True), (GREET, False, False), (GREET + "export const disabled = true;", True, False)],
)
def test_a_disabled_one_is_loaded_as_disabled(text: str, enabled: bool, expected: bool) -> None:
    assert load_steps([], texts=[step("a", text, enabled=enabled)]).steps[0].enabled is expected


def test_a_name_of_a_file_step_is_refused(tmp_path: Path) -> None:
    (tmp_path / "greet.js").write_text(GREET)
    with pytest.raises(LoadError, match=r"^greet\.js:1: step 'greet': there is a step of this name already, at .*js:1"):
        load_steps([tmp_path], texts=[step("greet")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GREET.replace("'Hi';", "'Hi'; if ("), r"^bad\.js:\d+: step 'bad': column \d+: syntax error"),
        (GREET.replace("'Hi'", "@"), r"^bad\.js:3: step 'bad': column \d+"),
        ("// nothing\n", r"^bad\.js:1: step 'bad': one condition and one content were expected, but there is nothing"),
        (GREET + GREET.replace("Hi", "Ho"), r"^bad\.js"),
        (GREET + "export const name = 'good';", r"^bad\.js:1: step 'bad': the text exports the name 'good'"),
        (GREET.replace("{name: String,", "{name: Strin,"), r"^bad\.js:1: step 'bad': .*Strin is not defined"),
        (GREET + "export const retries = 'x';", r"^bad\.js:1: step 'bad': .*retries"),
    ],
)
def test_what_cannot_be_loaded_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        load_steps([], texts=[step("good", GREET), step("bad", text)])


def test_typescript_goes_by_the_suffix() -> None:
    typed = GREET.replace("async () =>", "async (): Promise<void> =>")
    assert load_steps([], texts=[step("a", typed, ".ts")]).steps[0].location.file == "a.ts"


def test_a_library_is_checked_and_named_as_its_file_would_be() -> None:
    good = ScriptText("library", "texts", ".js", TEXTS)
    assert load_steps([], texts=[good, step("a")]).steps[0].script is not None
    bad = ScriptText("library", "texts", ".js", "export const a = 1;\nmissing();\n")
    with pytest.raises(LoadError, match=r"^texts\.js:2: library 'texts': ReferenceError: missing is not defined"):
        load_steps([], texts=[bad, step("a")])


def test_a_library_of_files_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "texts.js").write_text(TEXTS)
    with pytest.raises(LoadError, match="there is a library 'texts' of files already"):
        load_steps(
            [],
            libraries={"texts": tmp_path / "texts.js"},
            texts=[step("a"), ScriptText("library", "texts", ".js", TEXTS)],
        )


def test_v8_is_asked_again_of_what_is_new_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def spy(programs: list[define.Program]) -> list[define.Checked]:
        asked.append([program.key.partition("@")[0] for program in programs])
        return real(programs)

    real = define.check
    monkeypatch.setattr(define, "check", spy)
    first = [step("first known", GREET + "// 1"), step("second known", GREET + "// 2")]
    load_steps([], texts=first)
    load_steps([], texts=first)
    assert asked == [["first known", "second known"]]
    broken = step("third", GREET.replace("String", "Nothing"))
    for _ in range(2):  # what is wrong is told each time
        with pytest.raises(LoadError, match="Nothing is not defined"):
            load_steps([], texts=[*first, broken])
    library = ScriptText("library", "texts", ".js", TEXTS)
    load_steps([], texts=[*first, library])
    assert asked[1:] == [["third"], ["third"], ["texts", "first known", "second known"]]


@pytest.mark.parametrize(
    ("condition", "content", "text"),
    [
        ("{a: Number};", "data.b = 1;", "export const condition = {a: Number};"),
        ({"a": "Number", "String": "new"}, "data.b = 1;", '{"a": Number, "String": "new"};'),
        ("{a: Number} // all", "data.b = 1; // done", "{a: Number} // all\n;"),
    ],
)
def test_a_condition_and_a_body_make_a_text(condition: str | dict[str, object], content: str, text: str) -> None:
    made = compose("a", None, condition, content)
    assert made is not None and text in made
    loaded = load_steps([], texts=[step("a", made)]).steps[0]
    assert explain(loaded.condition, {"a": 5, "String": "new"}).matched
    assert not explain(loaded.condition, {"a": "Number", "String": "new"}).matched


def test_a_body_cannot_close_what_it_stands_in() -> None:
    with pytest.raises(LoadError, match="syntax error"):
        compose("a", None, "{a: 1}", "}; steal(); {")
    with pytest.raises(LoadError, match="one expression"):
        compose("a", None, "{a: 1}, steal()", "data.b = 1")
