"""What no scenario reached: steps, and leaves of conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aloma_py.testing import Coverage

STEPS = """
@step(condition={"order": {"status": "new", "total": {"$gt": 100}}})
def review(data): data.order.status = "reviewed"

@step(condition={"order": {"status": "new"}})
def accept(data): data.order.status = "accepted"

@step(condition={"order": {"status": "lost"}, "by": str})
def find(data): ...

@step(condition={"never": 1}, enabled=False)
def asleep(data): ...
"""


def test_steps_and_leaves_that_were_not_reached(steps_of: Callable[[str], Any]) -> None:
    # Given one scenario, of a small order, that becomes an accepted one
    folder = steps_of(STEPS)
    results = folder.run("- {name: small, task: {order: {status: new, total: 5}, by: ada}}")

    # When it is asked what was not reached
    report = Coverage(results).report()

    # Then a disabled step does not count, and each leaf is looked at in every state of the data
    assert (report.steps, report.leaves, report.complete) == (3, 5, False)
    assert [name for name, _ in report.never_ran] == ["review", "find"]
    assert report.never_ran[0][1].endswith("steps/orders.py:4")
    assert [str(leaf) for leaf in report.never_held] == [
        "review: order.total: greater than 100",
        'find: order.status: equal to "lost"',
    ]
    assert [str(leaf) for leaf in report.never_failed] == ["find: by: a string"]
    assert report.lines()[0] == (
        "1 of 3 steps ran; of 5 leaves of their conditions 3 held and 4 did not hold at some time"
    )
    assert report.lines()[1:4] == [
        "never ran:",
        f"  review ({report.never_ran[0][1]})",
        f"  find ({report.never_ran[1][1]})",
    ]
    assert report.to_json()["never_failed"] == [{"step": "find", "path": "by", "expected": "a string"}]


def test_scenarios_of_several_files_add_up(steps_of: Callable[[str], Any]) -> None:
    folder = steps_of(STEPS)
    coverage = Coverage()
    for data in ("{order: {status: new, total: 5}}", "{order: {status: new, total: 500}}",
                 "{order: {status: lost}, by: ada}"):  # fmt: skip
        for result in folder.run(f"- {{name: it, task: {data}}}"):
            coverage.add(result)
    report = coverage.report()
    assert (report.steps, report.complete, report.never_failed) == (3, True, ())


def test_the_data_of_subtasks_counts(steps_of: Callable[[str], Any]) -> None:
    folder = steps_of(
        """
        @step(condition={"items": [str]})
        def split(data, task): task.subtask("child", {"item": data.items.pop()})

        @step(condition={"item": str})
        def child(data): data.done = True
        """
    )
    (result,) = folder.run("- {name: it, task: {items: [a]}}")
    assert Coverage([result]).report().never_ran == ()


def test_a_result_that_did_not_run_reaches_nothing(folder: Any) -> None:
    report = Coverage(folder.run("- {name: it}")).report()
    assert (report.steps, report.lines()) == (
        0,
        ["0 of 0 steps ran; of 0 leaves of their conditions 0 held and 0 did not hold at some time"],
    )
