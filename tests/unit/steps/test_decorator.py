from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aloma_py.errors import LoadError
from aloma_py.steps import Rate, Step, step

ORDER = {"order": {"status": "new"}}


def test_a_step_is_a_function_that_knows_its_condition_and_options() -> None:
    @step(condition=ORDER, retries=3, backoff="2s", tags=["billing"])
    def validate(data: dict[str, int], factor: int = 2) -> int:
        """Check the order."""
        return data["n"] * factor

    assert isinstance(validate, Step)
    assert validate({"n": 4}) == 8
    assert validate.name == "validate"
    assert validate.condition is ORDER
    assert (validate.options.retries, validate.options.backoff, validate.options.tags) == (3, 2000, ("billing",))
    assert validate.__doc__ == "Check the order."
    assert list(inspect.signature(validate).parameters) == ["data", "factor"]
    assert not validate.is_async
    assert str(validate.location).startswith(__file__)
    assert repr(validate) == f"<step 'validate' at {validate.location}>"


def test_it_can_be_applied_by_hand_to_a_named_lambda() -> None:
    made = step(ORDER, name="double")(lambda data: data * 2)

    assert (made.name, made(4)) == ("double", 8)


def test_an_async_step_gives_a_coroutine() -> None:
    @step(condition=ORDER)
    async def content(data: int) -> int:
        return data + 1

    coroutine = content(1)
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)

    assert content.is_async
    assert ended.value.value == 2


def test_a_step_cannot_be_changed() -> None:
    made = step(ORDER, name="fixed")(lambda data: None)

    with pytest.raises(AttributeError, match="step 'fixed' cannot be changed"):
        made.name = "other"
    with pytest.raises(AttributeError, match="step 'fixed' cannot be changed"):
        del made.options


@pytest.mark.parametrize(
    ("given", "option", "value"),
    [
        ({"timeout": "1m"}, "timeout", 60_000),
        ({"timeout": None}, "timeout", None),
        ({"backoff": timedelta(seconds=1)}, "backoff", 1000),
        ({"parallel": True}, "parallel", "always"),
        ({"parallel": False}, "parallel", "never"),
        ({"rate": "10/s"}, "rate", Rate(10, 1000)),
        ({"rate": "60/m"}, "rate", Rate(60, 60_000)),
        ({"rate": "5/30s"}, "rate", Rate(5, 30_000)),
        ({"rate": Rate(1, 5)}, "rate", Rate(1, 5)),
        ({"retry_on": ValueError}, "retry_on", (ValueError,)),
        ({"retry_on": [503, "Throttled"]}, "retry_on", ("503", "Throttled")),
        ({"tags": "one"}, "tags", ("one",)),
        ({"concurrency": 2}, "concurrency", 2),
        ({"priority": -1}, "priority", -1),
        ({"enabled": False}, "enabled", False),
    ],
)
def test_options_come_out_in_one_form(given: dict[str, Any], option: str, value: object) -> None:
    made = step(ORDER, name="s", **given)(lambda data: None)

    assert getattr(made.options, option) == value


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"retry": 3}, "there is no option 'retry'; did you mean 'retries'?"),
        ({"conc": 3}, "there is no option 'conc'; did you mean 'concurrency'?"),
        ({"retires": 3}, "there is no option 'retires'; did you mean 'retries'?"),
        ({"retries": -1}, "the option 'retries' must be a whole number of at least 0, not -1"),
        ({"retries": True}, "the option 'retries' must be a whole number of at least 0, not True"),
        ({"priority": "high"}, "the option 'priority' must be a whole number, not 'high'"),
        ({"parallel": "allways"}, "the option 'parallel' must be \"auto\", \"always\" or \"never\", not 'allways'; "
                                  "did you mean 'always'?"),
        ({"timeout": 0}, "the option 'timeout' must be longer than nothing, not 0"),
        ({"timeout": "soon"}, "the option 'timeout' must be a duration: a number of milliseconds, a timedelta, or text "
                              "such as \"200ms\", \"30s\", \"5m\", \"2h\" or \"1d\", not 'soon'"),
        ({"rate": "fast"}, "the option 'rate' must be a count in a time such as \"10/s\", \"60/m\" or \"5/30s\", "
                           "not 'fast'"),
        ({"rate": "0/s"}, "the option 'rate' must be at least one run in a time that is longer than nothing, "
                          "not '0/s'"),
        ({"retry_on": 7}, "the option 'retry_on' must be exception classes, names of errors, or HTTP statuses, not 7"),
        ({"tags": 3}, "the option 'tags' must be a list of texts, not 3"),
        ({"tags": [""]}, "the option 'tags' must be a list of texts that are not empty, not ['']"),
        ({"concurrency": 0}, "the option 'concurrency' must be a whole number of at least 1, not 0"),
        ({"enabled": 1}, "the option 'enabled' must be True or False, not 1"),
        ({"name": ""}, "the option 'name' must not be empty"),
        ({"name": 3}, "the option 'name' must be text, not 3"),
        ({"name": "x" * 201}, f"the option 'name' may have 200 characters, but has 201: {'x' * 40!r}…"),
    ],
)  # fmt: skip
def test_refuses_options_with_the_place_and_the_cure(given: dict[str, Any], message: str) -> None:
    def content(data: object) -> None: ...

    with pytest.raises(LoadError) as caught:
        step(ORDER, **given)(content)

    line = content.__code__.co_firstlineno
    assert str(caught.value) == f"{__file__}:{line}: step 'content': {message}"


def test_a_step_without_a_condition_is_told_what_to_write() -> None:
    def content(data: object) -> None: ...

    place = f"{__file__}:{content.__code__.co_firstlineno}: step 'content': "
    example = '@step(condition={"order": {"status": "new"}})'
    with pytest.raises(LoadError) as bare:
        step(content)
    with pytest.raises(LoadError) as empty:
        step()(content)

    assert str(bare.value) == f"{place}@step needs a condition, and parentheses: {example}"
    assert str(empty.value) == f"{place}@step needs a condition: {example}"


def test_refuses_what_is_no_function() -> None:
    def generator(data: object) -> Any:
        yield 1

    with pytest.raises(LoadError, match="a step's function cannot be a generator"):
        step(ORDER)(generator)
    with pytest.raises(LoadError, match="it is a step already"):
        step(ORDER)(step(ORDER, name="s")(lambda data: None))
    with pytest.raises(LoadError, match="@step is for a function"):
        step(ORDER)(3)  # type: ignore[arg-type]
    with pytest.raises(LoadError, match="a step made of a lambda needs a name"):
        step(ORDER)(lambda data: None)


@pytest.mark.timeout(120)
def test_type_checkers_see_the_functions_own_signature(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    file = tmp_path / "typed.py"
    file.write_text(
        textwrap.dedent(
            """\
            from typing import assert_type
            from aloma_py.steps import step

            @step(condition={"a": 1}, retries=3)
            async def content(data: dict[str, int]) -> str:
                return "x"

            async def use() -> None:
                assert_type(await content({"a": 1}), str)

            content(3)
            step(condition={}, retires=3)
            """
        )
    )

    told = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--follow-imports=silent", str(file)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout

    assert 'typed.py:11: error: Argument 1 to "__call__" of "Step" has incompatible type "int"' in told
    assert "typed.py:12: error:" in told
    assert "Found 2 errors" in told or "Found 3 errors" in told, told
