"""``aloma-py test``: run scenarios, and say what none of them reached."""

from __future__ import annotations

import time

import rich_click as click
from rich.console import Console

from aloma_py.cli import output
from aloma_py.cli.options import Common, pass_common
from aloma_py.testing import Coverage, ScenarioResult, run_files, write_junit


@click.command()
@click.argument("paths", metavar="PATH…", nargs=-1, required=True)
@click.option("-k", "keyword", metavar="TEXT", help="Only scenarios with this in their name or their file's.")
@click.option("--junit", metavar="FILE", help="Write the results as JUnit XML too.")
@pass_common
def test(common: Common, paths: tuple[str, ...], keyword: str | None, junit: str | None) -> int:
    """Run scenarios.

    PATH is a *.scenario.yaml file, or a folder in which all of them are run. The exit status is 1 where one fails.
    With --json there is one line for each scenario.
    """
    out = output.console()
    results: list[ScenarioResult] = []
    coverage = Coverage()
    began = time.monotonic()
    for result in run_files(paths, keyword):
        results.append(result)
        coverage.add(result)
        if common.as_json:
            output.emit_json(result.to_json(), compact=True)
        else:
            _one(out, result)
    if junit is not None:
        write_junit(junit, results)
    failed = [result for result in results if not result.passed]
    if not common.as_json:
        _failures(out, failed)
        if keyword is None:
            for line in coverage.report().lines():
                out.print(output.styled(line, "dim"))
        _totals(out, len(results), len(failed), time.monotonic() - began)
    return 1 if failed else 0


def _one(out: Console, result: ScenarioResult) -> None:
    mark, style = ("✓", "green") if result.passed else ("✗", "bold red")
    out.print(output.styled(f"{mark} ", style) + output.styled(result.title))


def _failures(out: Console, failed: list[ScenarioResult]) -> None:
    for result in failed:
        place = f"{result.file}:{result.line}" if result.line else result.file
        out.print()
        out.print(output.styled(f"{result.name or 'not loaded'}  ", "bold red") + output.styled(place, "dim"))
        for failure in result.failures:
            out.print(output.styled(f"  {failure}", "red"))
        for line in result.timeline():
            out.print(output.styled(f"  {line}", "dim"))
    if failed:
        out.print()


def _totals(out: Console, count: int, failed: int, seconds: float) -> None:
    passed = f"{count - failed} passed"
    text = f"{failed} failed, {passed}" if failed else passed
    out.print(output.styled(f"{text} in {output.duration(seconds * 1000)}", "bold red" if failed else "bold green"))
