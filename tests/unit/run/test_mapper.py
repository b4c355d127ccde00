"""Objects made from parts of others."""

import pytest

from aloma_py.errors import InputError, ResultError
from aloma_py.run.data import to_data
from aloma_py.run.mapper import mapper

ORDER = {
    "id": 7,
    "customer": {"name": "Ada", "mail": None},
    "lines": [{"sku": "a", "n": 2, "tags": ["x"]}, {"sku": "b", "tags": ["y", "z"]}, {"n": 1}],
}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (lambda m: m.map("id"), {"id": 7}),
        (lambda m: m.map("customer.name").to("contact.full"), {"contact": {"full": "Ada"}}),
        (lambda m: m.map("lines.0.sku").to("first"), {"first": "a"}),
        (lambda m: m.map("gone.x").to("y").map("id").to("n"), {"n": 7}),
        (lambda m: m.map("gone").to("y", default=0), {"y": 0}),
        (lambda m: m.map("customer.mail").to("mail"), {"mail": None}),
        (lambda m: m.map("id").to("n", lambda n: n + 1), {"n": 8}),
        (lambda m: m.map("customer.mail").or_("gone", "id").to("n"), {"n": 7}),
        (lambda m: m.map("gone").or_("customer.mail").to("n"), {"n": None}),
        (lambda m: m.map(["id", "gone"]).to("n", lambda a, b: [a, b]), {"n": [7, None]}),
        (lambda m: m.map(["id", "gone", "customer.name"]).to("n"), {"n": [7, "Ada"]}),
        (lambda m: m.map(["gone", "away"]).to("n", lambda a, b: 1), {}),
        (lambda m: m.map().to("n", lambda: 1), {"n": 1}),
        (lambda m: m.map("lines[].sku").to("skus"), {"skus": ["a", "b"]}),
        (lambda m: m.map("lines[].sku").to("skus[]"), {"skus": ["a", "b"]}),
        (lambda m: m.map("lines[].tags[]").to("tags"), {"tags": ["x", "y", "z"]}),
        (
            lambda m: m.map("lines[].sku").to("rows[].code").map("lines[].n").to("rows[].count"),
            {"rows": [{"code": "a", "count": 2}, {"code": "b", "count": 1}]},
        ),
        (lambda m: m.map("customer[].x").to("y"), {}),
    ],
)
def test_rules(rules, expected):
    assert rules(mapper()).execute(ORDER) == expected
    assert rules(mapper()).execute(to_data(ORDER)) == expected


def test_the_answer_is_added_to_a_copy_and_shares_nothing():
    source, into = {"a": {"list": [1]}}, {"b": {"x": 1}}
    rules = mapper().map("a.list").to("b.list")
    made = rules.execute(source, into)
    made["b"]["list"].append(2)
    assert made == {"b": {"x": 1, "list": [1, 2]}}
    assert (source, into) == ({"a": {"list": [1]}}, {"b": {"x": 1}})
    assert rules.execute(source) == {"b": {"list": [1]}}


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: mapper().to("a"), "to() comes after map(): mapper().map('a').to('b')"),
        (lambda: mapper().map(3), "map() takes a path such as 'order.id' or a list of paths, not 3"),
        (lambda: mapper().map(""), "a path is a text such as 'order.id', not ''"),
        (lambda: mapper().map("a").to("b", 3), "the second argument of to() is a function of the value, not 3"),
        (
            lambda: mapper().map(["a", "b"]).to(),
            "to() needs a path such as 'contact.name' where map() does not name exactly one",
        ),
        (
            lambda: mapper().map(["id", "b"]).execute(ORDER),
            "map(['id', 'b']) needs a to(…) that says where its value goes",
        ),
        (
            lambda: mapper().map("lines[].sku").to("a[].b[].c").execute(ORDER),
            "a target may hold one '[]', after the name of an array as in 'rows[].code', not 'a[].b[].c'",
        ),
    ],
)
def test_misuse_is_told(use, message):
    with pytest.raises(InputError) as raised:
        use()
    assert str(raised.value) == message


def test_a_value_that_is_no_json_is_refused():
    with pytest.raises(ResultError, match=r"^the mapped value is a set, which JSON does not know"):
        mapper().map("id").to("n", lambda n: {n}).execute(ORDER)
