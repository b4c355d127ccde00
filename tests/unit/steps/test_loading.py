from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from aloma_py.errors import ConditionError, LoadError
from aloma_py.steps import StepSet, load_steps, step

STEP = "from aloma_py.steps import step\n"


def write(folder: Path, **files: str) -> Path:
    """Files by name, ``a__b`` for ``a/b``; those of Python know ``step``."""
    for name, text in files.items():
        place = folder / name.replace("__", "/").replace("INIT", "__init__")
        place = place if place.suffix else place.with_suffix(".py")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(STEP + textwrap.dedent(text))
    return folder


def one(name: str, *, body: str = "pass", options: str = "") -> str:
    return f"@step(condition={{'a': 1}}{options})\ndef {name}(data):\n    {body}\n"


def names(loaded: StepSet) -> list[str]:
    return [made.name for made in loaded.steps]


@pytest.fixture(autouse=True)
def _no_trace_in_sys_modules() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("aloma_workspace_", "shop")):
            del sys.modules[name]


# --- what can be loaded ---------------------------------------------------------------------------------------------


def test_a_folder_is_loaded_in_order_of_names_then_lines(tmp_path: Path) -> None:
    write(
        tmp_path,
        b=one("later"),
        a=one("second", options=", name='first'") + one("then"),
        c__deep=one("deepest"),
        _draft=one("draft"),
        d=one("last"),
    )
    (tmp_path / "notes.txt").write_text("no step")

    assert names(load_steps(tmp_path)) == ["first", "then", "later", "deepest", "last"]
    assert names(load_steps(str(tmp_path))) == ["first", "then", "later", "deepest", "last"]


def test_a_file_and_a_step_and_a_list_of_them(tmp_path: Path) -> None:
    write(tmp_path, a=one("of_a"), b=one("of_b"))
    mine = step({"a": 1}, name="mine")(lambda data: None)

    loaded = load_steps([mine, tmp_path / "b.py", [str(tmp_path / "a.py")], mine])

    assert names(loaded) == ["mine", "of_b", "of_a"]
    assert loaded.sources == tuple(sorted((__file__, str(tmp_path / "a.py"), str(tmp_path / "b.py"))))


def test_a_module_or_its_name_or_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, shop__INIT="", shop__pay=one("pay"), shop__sub__INIT=one("base"), shop__sub__ship=one("ship"))
    write(tmp_path, shop___hidden=one("hidden"))
    monkeypatch.syspath_prepend(tmp_path)

    assert names(load_steps("shop")) == ["pay", "base", "ship"]
    assert names(load_steps("shop.pay")) == ["pay"]
    assert names(load_steps(importlib.import_module("shop.sub"))) == ["base", "ship"]


def test_files_of_a_folder_import_each_other(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="from .helpers import double\n" + one("twice", body="data.n = double(data.n)"),
        b="from . import a\nfrom .sub.c import deep\n",
        helpers="def double(n):\n    return n * 2\n",
        sub__c=one("deep"),
    )

    loaded = load_steps(tmp_path)

    # A step counts once, where it was written.
    assert names(loaded) == ["twice", "deep"]
    assert loaded.steps[0].footprint.writes == {("n",)}
    assert not loaded.steps[0].footprint.everything


def test_two_loads_of_one_folder_do_not_meet(tmp_path: Path) -> None:
    write(tmp_path, a=one("s"))
    first = load_steps(tmp_path)
    write(tmp_path, a=one("t"))  # as long as before, within the same second
    second = load_steps(tmp_path)

    assert (names(first), names(second)) == (["s"], ["t"])
    assert not list(tmp_path.rglob("*.pyc"))
    second.unload()
    assert not any(name.startswith(second.packages) for name in sys.modules)


def test_the_version_changes_with_code_condition_and_options(tmp_path: Path) -> None:
    def version(text: str) -> str:
        return load_steps(write(tmp_path, a=text)).steps[0].version

    plain = version(one("s"))

    assert len(plain) == 12
    assert version(one("s")) == plain
    assert version("\n# moved\n" + one("s")) == plain
    others = {version(one("s", body="return")), version(one("s", options=", retries=2"))}
    assert len(others | {plain}) == 3


def test_libraries_are_loaded_with_the_steps(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="@step(condition={'a': 1})\ndef s(data, lib):\n    lib.price.add(data.order)\n",
        _price="import json\nRATE = 2\ndef add(order):\n    order.total = RATE\ndef _inner(): ...\n",
    )

    loaded = load_steps(tmp_path / "a.py", libraries={"price": tmp_path / "_price.py"})

    assert list(loaded.libraries) == ["price"]
    assert list(loaded.libraries.price) == ["RATE", "add"]
    assert loaded.steps[0].footprint.writes == {("order", "total")}
    with pytest.raises(AttributeError, match=r"the library 'price' has no function 'ad'; did you mean 'add'\?"):
        loaded.libraries.price.ad
    with pytest.raises(AttributeError, match=r"there is no library 'prise'; did you mean 'price'\?"):
        loaded.libraries.prise


# --- what cannot ----------------------------------------------------------------------------------------------------


def fails(source: object, **options: object) -> str:
    """The message; and nothing is left behind."""
    before = set(sys.modules)
    with pytest.raises(LoadError) as caught:
        load_steps(source, **options)  # type: ignore[arg-type]
    assert not [name for name in set(sys.modules) - before if name.startswith("aloma_workspace_")]
    return str(caught.value)


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    write(tmp_path, a=one("fine"), b="x = 1\ndef (\n")

    assert fails(tmp_path).startswith(f"{tmp_path / 'b.py'}:3: SyntaxError: ")


def test_whatever_a_file_raises_is_told_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, a="from .helpers import broken\nbroken()\n", helpers="def broken():\n    return {}['key']\n")

    assert fails(tmp_path) == f"{tmp_path / 'helpers.py'}:3: KeyError: 'key'"


def test_a_plain_import_of_a_neighbour_is_told_what_to_write(tmp_path: Path) -> None:
    write(tmp_path, a="import neighbour\n", neighbour="")

    assert fails(tmp_path) == (
        f"{tmp_path / 'a.py'}:2: ModuleNotFoundError: No module named 'neighbour'; write 'from . import neighbour'"
    )


def test_an_option_that_there_is_not(tmp_path: Path) -> None:
    write(tmp_path, a=one("s", options=", retires=1"))

    assert fails(tmp_path) == (
        f"{tmp_path / 'a.py'}:2: step 's': there is no option 'retires'; did you mean 'retries'?"
    )


def test_a_parameter_that_nothing_fills(tmp_path: Path) -> None:
    write(tmp_path, a="\n@step(condition={'a': 1})\ndef s(dat):\n    pass\n")

    assert fails(tmp_path) == (
        f"{tmp_path / 'a.py'}:3: step 's': nothing fills the parameter 'dat'; did you mean 'data'?"
    )


def test_a_condition_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, a="@step(condition={'a': {'$gtt': 1}})\ndef s(data):\n    pass\n")

    with pytest.raises(ConditionError) as caught:
        load_steps(tmp_path)

    assert (caught.value.file, caught.value.line, caught.value.step) == (str(tmp_path / "a.py"), 2, "s")
    assert str(caught.value).startswith(f"{tmp_path / 'a.py'}:2: step 's': condition at a")


def test_two_steps_of_one_name(tmp_path: Path) -> None:
    write(tmp_path, a=one("s"), b=one("other", options=", name='s'"))

    assert fails(tmp_path) == (
        f"{tmp_path / 'b.py'}:2: step 's': there is a step of this name already, at {tmp_path / 'a.py'}:2; "
        "each needs a name of its own"
    )


def test_a_step_that_a_later_function_hides(tmp_path: Path) -> None:
    write(tmp_path, a=one("s") + one("s", options=", name='t'"))

    assert fails(tmp_path) == (
        f"{tmp_path / 'a.py'}:6: step 's': a function of this name was defined before, at {tmp_path / 'a.py'}:3, "
        "and is lost; rename one"
    )


def test_nothing_to_load(tmp_path: Path) -> None:
    write(tmp_path, a="")
    place = f"no @step and no JavaScript step was found in {tmp_path}"

    assert fails(tmp_path) == f"what was given has no steps: {place}"
    assert fails(tmp_path, name="shop") == f"the workspace 'shop' has no steps: {place}"


def test_a_path_that_there_is_not(tmp_path: Path) -> None:
    write(tmp_path, orders=one("s"))

    assert fails(str(tmp_path / "order.py")) == (
        f"there is no file or folder '{tmp_path / 'order.py'}'; did you mean 'orders.py'?"
    )


def test_a_module_that_there_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, orders=one("s"))
    monkeypatch.chdir(tmp_path)

    assert fails("nosuchmodule.steps").startswith("there is no module, file or folder 'nosuchmodule.steps'")


@pytest.mark.parametrize("name", ["a.js", "a.mjs", "a.ts", "a.mts"])
def test_a_javascript_file_that_is_no_step(tmp_path: Path, name: str) -> None:
    write(tmp_path, orders=one("s"))
    (tmp_path / name).write_text("export const condition = {a: 1};")

    assert fails(tmp_path).startswith(f"{tmp_path / name}:1: ")
    assert fails(tmp_path / name).startswith(f"{tmp_path / name}:1: ")


def test_steps_of_both_languages_are_created_in_the_order_of_their_files(tmp_path: Path) -> None:
    write(tmp_path, b=one("python"))
    for name in ("a", "c"):
        (tmp_path / f"{name}.js").write_text(
            f"export const condition = {{{name}: String}};export const content = () => {{}};"
        )

    loaded = load_steps(tmp_path)

    assert [(step.name, step.language) for step in loaded.steps] == [
        ("a", "javascript"),
        ("python", "python"),
        ("c", "javascript"),
    ]
    assert {Path(file).name for file in loaded.sources} == {"a.js", "b.py", "c.js"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("export const condition = {a: };\nexport const content = () => {};", ":1: "),
        ("export const condition = {a: 1};\n\nexport const content = () => { const x = 1; const x = 2 };", ":3: "),
        ("export const condition = {a: nope};\nexport const content = () => {};", "nope is not defined"),
        ("export const condition = {a: {$foo: 1}};\nexport const content = () => {};", "there is no operator '$foo'"),
        ("while (true) {}\nexport const condition = {a: 1};\nexport const content = () => {};", "more than 2 s"),
        ("export const condition = 3;\nexport const content = () => {};", "can never match"),
    ],
)
def test_javascript_that_cannot_be_loaded_says_where_and_why(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.js").write_text(text)

    message = fails(tmp_path)

    assert message.startswith(str(tmp_path / "a.js"))
    assert said in message


def test_what_is_no_python_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")

    assert (
        fails(tmp_path / "a.txt")
        == f"{tmp_path / 'a.txt'}: this is no step file: its name must end in .py, .js, .mjs, .cjs, .ts or .mts"
    )
    assert fails(3) == (
        "steps cannot be loaded from 3: a module, its name, a .py file, a folder, a step, or a list of these "
        "was expected"
    )


def test_a_library_that_cannot_be_loaded(tmp_path: Path) -> None:
    write(tmp_path, a=one("s"))

    assert fails(tmp_path, libraries={"price": tmp_path / "b.py"}) == (
        f"library 'price': there is no file or folder '{tmp_path / 'b.py'}'; did you mean 'a.py'?"
    )


def test_a_module_made_by_hand_is_loaded_too() -> None:
    module = ModuleType("made")
    made = step({"a": 1}, name="mine")(lambda data: None)
    module.mine = made  # type: ignore[attr-defined]

    assert names(load_steps(module)) == ["mine"]
