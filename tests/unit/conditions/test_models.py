"""pydantic models as conditions."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from aloma_py.conditions import ConditionIndex, compile_condition, explain, leaf_results, naive_match


class Item(BaseModel):
    sku: str
    count: int = 1


class PaidOrder(BaseModel):
    status: Literal["paid", "settled"]
    total: float
    items: list[Item]
    note: str | None = None


class Paid(BaseModel):
    order: PaidOrder
    customer: str


class Colour(enum.Enum):
    RED = "red"


class Dated(BaseModel):
    day: dt.date
    colour: Colour
    pair: tuple[int, str]


class Aliased(BaseModel):
    via: dict[str, Any] = Field(alias="$via")
    first_name: str = Field(validation_alias="firstName")


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int


class Trimmed(BaseModel):
    code: Annotated[int, BeforeValidator(lambda value: len(value))]


class Positive(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def _positive(cls, value: int) -> int:
        if value <= 0:
            raise ValueError("must be positive")
        return value


class Renamed(BaseModel):
    n: int

    @model_validator(mode="before")
    @classmethod
    def _from_old_name(cls, value: Any) -> Any:
        return {"n": value["old"]} if "old" in value else value


class Broken(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def _breaks(cls, value: int) -> int:
        raise RuntimeError("no luck")


class Tree(BaseModel):
    name: str
    left: Tree | None = None


ORDER = {"status": "paid", "total": 5, "items": [{"sku": "a", "extra": 1}]}
DATED = {"day": "2026-01-31", "colour": "red", "pair": [1, "x"]}


@pytest.mark.parametrize(
    ("model", "data", "expected"),
    [
        (Paid, {"order": ORDER, "customer": "c", "more": 1}, True),
        (Paid, {"order": {**ORDER, "status": "new"}, "customer": "c"}, False),
        (Paid, {"order": {**ORDER, "total": "5"}, "customer": "c"}, False),  # strict: no text as a number
        (Paid, {"order": {**ORDER, "total": True}, "customer": "c"}, False),
        (Paid, {"order": {**ORDER, "items": [{"sku": 1}]}, "customer": "c"}, False),
        (Paid, {"order": {**ORDER, "note": 5}, "customer": "c"}, False),
        (Paid, {"order": ORDER}, False),
        (Paid, {}, False),
        (Dated, DATED, True),  # strict as for JSON text, where dates, enums and tuples are text and arrays
        (Dated, {**DATED, "day": "soon"}, False),
        (Dated, {**DATED, "colour": "blue"}, False),
        (Aliased, {"$via": {"name": "shop"}, "firstName": "A"}, True),
        (Aliased, {"via": {"name": "shop"}, "firstName": "A"}, False),
        (Aliased, {"$via": {}, "first_name": "A"}, False),
        (Closed, {"a": 1}, True),
        (Closed, {"a": 1, "b": 2}, True),  # other members are free in a condition, whatever the model says
        (Trimmed, {"code": "abc"}, True),
        (Positive, {"n": 1}, True),
        (Positive, {"n": 0}, False),
        (Renamed, {"old": 1}, True),
        (Renamed, {"n": 1}, True),
        (Renamed, {"x": 1}, False),
        (Broken, {"n": 1}, False),
        (Tree, {"name": "a", "left": {"name": "b"}}, True),
        (Tree, {"name": "a", "left": {"name": 1}}, False),
        (Paid, {"order": ORDER, "customer": "\ud800"}, True),
        (Dated, {**DATED, "day": "\ud800"}, False),
    ],
)
def test_a_model_matches_what_it_validates(model: type[BaseModel], data: Any, expected: bool) -> None:
    condition = compile_condition(model)
    others = [compile_condition({f"other{number}": number}) for number in range(20)]
    assert condition.matches(data) is expected
    assert bool(naive_match([condition], data)) is expected
    assert (0 in ConditionIndex([condition, *others]).match(data)) is expected
    assert explain(condition, data).matched is expected


def test_the_condition_knows_its_model_and_gives_the_instance() -> None:
    condition = compile_condition(Paid)
    assert condition.model is Paid
    assert condition.source == "Paid"
    instance = condition.instance({"order": ORDER, "customer": "c"})
    assert isinstance(instance, Paid)
    assert instance.order.items[0].sku == "a"
    with pytest.raises(ValidationError):
        condition.instance({})
    with pytest.raises(TypeError, match="is no pydantic model"):
        compile_condition({"a": 1}).instance({"a": 1})


def test_specificity_is_the_number_of_required_leaf_fields() -> None:
    assert compile_condition(Paid).specificity == 4  # status, total, items, customer
    assert compile_condition(Item).specificity == 1
    assert compile_condition({"order": PaidOrder, "x": 1}).specificity == 4


def test_it_looks_at_its_fields() -> None:
    paths = compile_condition(Paid).paths
    assert paths == {
        ("customer",), ("order", "status"), ("order", "total"), ("order", "items"), ("order", "note"),
    }  # fmt: skip
    assert ("$via",) in compile_condition(Aliased).paths
    assert ("firstName",) in compile_condition(Aliased).paths
    assert compile_condition(Closed).paths == {()}, "it looks at every member"
    assert compile_condition(Renamed).paths == {()}, "its validator sees the whole data"


def test_a_model_may_stand_for_a_member() -> None:
    condition = compile_condition({"order": PaidOrder, "x": {"y": None}})
    assert condition.matches({"order": ORDER})
    assert not condition.matches({"order": {}})
    assert condition.model is None


def test_an_explanation_names_each_field_and_each_other_error() -> None:
    data = {"order": {**ORDER, "status": "new", "note": 5}, "customer": "c"}
    explanation = explain(compile_condition(Paid), data)
    rows = {row.path: row for row in explanation.rows}
    assert not rows["order.status"].held
    assert rows["order.status"].found == "\"new\" (Input should be 'paid' or 'settled')"
    assert rows["order.total"].held
    assert rows["customer"].held
    assert not rows["order.note"].held
    assert not rows["order.note"].leaf
    assert leaf_results(compile_condition(Paid), data) == (False, True, True, True)


def test_what_a_validator_raises_is_shown() -> None:
    explanation = explain(compile_condition(Broken), {"n": 1})
    assert any("the model raised RuntimeError: no luck" in row.found for row in explanation.rows)
