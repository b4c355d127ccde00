"""What is told of tasks that failed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloma_py.notify.digest import MAX_SHOWN, Digest, Failure, alike, make_test, one_line, subject
from aloma_py.notify.mail import make_mail
from aloma_py.notify.pages import html_page, plain_page

NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z


def failure(number: int, message: str = "card declined", **more: Any) -> Failure:
    given = {
        "workspace": "orders", "id": f"task-{number:04}", "name": f"order {number}", "state": "error",
        "at": NOON + number, "step": "charge", "type": "ValueError", **more,
    }  # fmt: skip
    return Failure(**given, message=message)


def digest(failures: Iterable[Failure], **more: Any) -> dict[str, Any]:
    made = Digest()
    made.add(failures)
    return made.finish("ops", since=NOON, until=NOON + 900_000, every=900_000, **more)


def test_five_thousand_tasks_with_one_error_are_one_line_with_three_examples() -> None:
    made = digest([failure(number, f"order {number + 10_000} not found") for number in range(5000)])
    assert made["text"] == "5,000 tasks failed in orders"
    [workspace] = made["data"]["workspaces"]
    [cause] = workspace["causes"]
    assert (cause["tasks"], len(cause["examples"]), workspace["more"]) == (5000, 3, {"causes": 0, "tasks": 0})
    text = plain_page(made)
    assert "5,000 × step charge: ValueError: order 10000 not found" in text
    assert "and 4,997 more" in text
    assert len(text.splitlines()) < 30


def test_at_most_twenty_tasks_are_shown_and_the_rest_is_counted() -> None:
    made = digest([failure(n, f"cause {chr(97 + n // 26)}{chr(97 + n % 26)}") for n in range(300)])
    [workspace] = made["data"]["workspaces"]
    assert sum(len(cause["examples"]) for cause in workspace["causes"]) == MAX_SHOWN
    assert workspace["more"] == {"causes": 280, "tasks": 280}
    assert "And 280 tasks with 280 other causes." in plain_page(made)


def test_the_most_frequent_causes_come_first_and_workspaces_apart() -> None:
    failures = [
        *(failure(n, "seldom") for n in range(2)),
        *(failure(n, "often", workspace="invoices") for n in range(9)),
        failure(50, "no step has ever matched", state="attention", step=None, type=None),
    ]
    made = digest(failures, recovered=1)
    assert made["text"] == "11 tasks failed and 1 needs attention in invoices, orders"
    assert [one["name"] for one in made["data"]["workspaces"]] == ["invoices", "orders"]
    assert [cause["message"] for cause in made["data"]["workspaces"][1]["causes"]] == [
        "seldom", "no step has ever matched",
    ]  # fmt: skip
    text = plain_page(made)
    assert "orders: 2 failed, 1 needs attention" in text
    assert "1 task failed in between, and does so no more." in text
    assert "From 2026-03-01 12:00:00 to 2026-03-01 12:15:00 UTC." in text


def test_links_lead_to_the_server_where_its_address_is_known() -> None:
    made = digest([failure(1, workspace="a b")], public_url="https://aloma.example.com/")
    link = "https://aloma.example.com/api/v1/workspaces/a%20b/tasks/task-0001"
    assert link in plain_page(made)
    assert f'<a href="{link}">' in html_page(made)
    assert digest([failure(1)])["data"]["workspaces"][0]["causes"][0]["examples"][0]["url"] is None


@pytest.mark.parametrize(("one", "other"), [
    ("order 17 not found", "order 4711 not found"),
    ("no a-1b2c here", "no a-9f8e7d here"),
    ("took 1.5 s", "took 22.75 s"),
])  # fmt: skip
def test_numbers_and_ids_make_no_other_cause(one: str, other: str) -> None:
    assert alike(one) == alike(other)


def test_a_status_makes_another_cause() -> None:
    assert alike("it gave 404") != alike("it gave 500")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


NASTY = st.one_of(
    st.text(max_size=60),
    st.sampled_from([
        "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "x\r\nBcc: all@example.org", "a\nb", "\u202egnp",
        "\ud800", "&lt;b&gt;", "'; --", "\x00\x1b[31m", "=?utf-8?q?x?=", "x" * 5000,
    ]),
)  # fmt: skip


@given(name=NASTY, workspace=NASTY, message=NASTY, step=NASTY)
def test_no_text_becomes_markup_or_a_header(name: str, workspace: str, message: str, step: str) -> None:
    found = failure(
        1, one_line(message) or "x", name=one_line(name), workspace=one_line(workspace), step=one_line(step)
    )
    made = digest([found])
    mail = make_mail(made, sender="a@example.org", to="b@example.org", message_id="msg_1", at=NOON)
    raw = mail.as_bytes()
    head = raw.partition(b"\r\n\r\n")[0].decode("ascii")
    names = [line.partition(":")[0] for line in head.split("\r\n") if line and line[0] not in " \t"]
    assert names == [
        "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version",
        "Content-Type",
    ]  # fmt: skip
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    tags = Tags()
    tags.feed(html_page(made))
    assert tags.tags <= {"html", "body", "div", "p", "b", "br", "h3", "ul", "li", "span", "code"}
    assert tags.attributes <= {"style"}
    json.dumps(made)


def test_names_with_line_ends_stay_on_the_subjects_line() -> None:
    text = subject(1, 0, ["x\r\nBcc: all@example.org"])
    assert text == "1 task failed in x"


def test_a_test_says_that_nothing_failed() -> None:
    made = make_test("ops", NOON)
    assert made["type"] == "test"
    assert "Nothing failed" in plain_page(made)
    assert "Nothing failed" in html_page(made)
