"""``aloma-py schedule``."""

from __future__ import annotations

import pytest

from .conftest import Shell


def test_the_next_times_of_an_expression_that_is_not_kept(shell: Shell) -> None:
    found = shell.json("schedule", "next", "30 2 29 3 *", "--count", "1", "--start", "2027-01-01", "--zone", "UTC")
    assert found == [{"at": "2027-03-29T02:30:00.000Z", "local": "2027-03-29T02:30:00+00:00"}]
    printed = shell(
        "schedule", "next", "30 2 28 3 *", "--count", "1", "--start", "2027-01-01", "--zone", "Europe/Berlin"
    )
    assert printed.stdout == "2027-03-28T01:00:00.000Z  2027-03-28T03:00:00+02:00\n"  # the clock is set forward
    every = ("schedule", "next", "--every", "90m", "--start", "2100-01-01", "--count", "2")
    assert shell(*every).stdout.split() == ["2100-01-01T00:00:00.000Z", "2100-01-01T01:30:00.000Z"]
    assert not list(shell.folder.glob("*.db"))


def test_a_schedule_from_its_beginning_to_its_end(shell: Shell) -> None:
    added = shell("schedule", "add", "weekly report", "--cron", "0 9 * * mon", "--zone", "Europe/Berlin",
                  "-d", '{"go": true}', "--tag", "a", "--tag", "b", "--missed", "all")  # fmt: skip
    assert added.stdout.startswith("added weekly report: 0 9 * * mon (Europe/Berlin); next 2")
    assert added.stderr == "it fires while `aloma-py serve` is running\n"
    shown = shell.json("schedule", "show", "weekly report")
    assert (shown["data"], shown["tags"], shown["missed"]) == ({"go": True}, ["a", "b"], "all")
    fired = shell.json("schedule", "run", "weekly report")
    via = shell.json("task", "show", fired["id"])["via"]
    assert (via["type"], via["name"], via["id"]) == ("schedule", "weekly report", shown["id"])
    shell("schedule", "update", "weekly report", "--every", "2h", "--rename", "often", "--end", "2190-01-01")
    assert shell.json("schedule", "show", "often")["every"] == 7_200_000
    assert shell.json("schedule", "update", "often", "--end", "")["end"] is None
    assert shell("schedule", "disable", "often").stdout == "disabled often: every 2 h; next disabled\n"
    assert "disabled" in shell("schedule", "list").stdout
    assert len(shell.json("schedule", "next", "often", "--count", "3")) == 3
    assert shell.json("schedule", "enable", "often")["next_at"] is not None
    assert fired["id"] in shell("schedule", "show", "often").stdout
    assert shell("schedule", "delete", "often", "--yes").stdout == "deleted often\n"
    assert shell("schedule", "list").stdout == "no schedules\n"


@pytest.mark.parametrize(("words", "said"), [
    (("add", "x"), "a schedule needs cron"),
    (("add", "x", "--cron", "0 9 * *"), "has 4 fields; five were expected"),
    (("add", "x", "--cron", "@daily", "--zone", "Europe/Berln"), "did you mean 'Europe/Berlin'?"),
    (("add", "x", "--every", "1h", "--overlap", "never"), "overlap must be one of allow, skip, queue, not 'never'"),
    (("update", "x"), "nothing to change was given"),
    (("delete", "x"), "say --yes where nobody can be asked"),
    (("next", "30 2 30 2 *"), "never comes: no month 2 has a day 30"),
    (("next", "0 9 * *"), "has 4 fields"),
    (("next",), "a schedule needs cron"),
    (("next", "daily", "--zone", "UTC"), "has times of its own"),
])  # fmt: skip
def test_mistakes_are_told(shell: Shell, words: tuple[str, ...], said: str) -> None:
    assert said in shell.refused("schedule", *words)
