"""The data as step code sees it."""

import copy
import gc
import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloma_py.jsontext import dumps
from aloma_py.run.data import HIDING_NAMES, Data, to_data
from aloma_py.run.plain import plain

often = settings(deadline=None, max_examples=200)
names = st.sampled_from(["a", "status", "$via", "__class__", "", *sorted(HIDING_NAMES)])
atoms = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3)
)
values = st.recursive(
    atoms, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=10
)
objects = st.dictionaries(names, values, max_size=5)


@pytest.fixture
def data():
    return to_data({"order": {"status": "new", "tmp": 1, "items": [{"sku": "a"}]}, "$via": {"name": "shop"}})


def test_members_are_attributes_and_items(data):
    assert data.order.status == data["order"]["status"] == "new"
    assert data["$via"].name == "shop"
    data.order.status = "paid"
    del data.order.tmp
    assert data.order == {"status": "paid", "items": [{"sku": "a"}]}
    assert data.order["items"][0].sku == "a"


def test_the_copy_is_the_runs_own():
    original = {"a": {"list": [{"n": 1}]}}
    mine = to_data(original)
    mine.a.list[0].n = 2
    mine.a.list.append(3)
    assert original == {"a": {"list": [{"n": 1}]}}


def test_a_missing_member_names_the_nearest_and_the_cure(data):
    with pytest.raises(AttributeError) as raised:
        data.order.stauts
    assert str(raised.value) == (
        "the data has no member 'stauts' here; did you mean 'status'?; "
        "where it may be missing, .get('stauts') gives None"
    )
    with pytest.raises(AttributeError, match="no member 'gone' here"):
        del data.order.gone
    assert not hasattr(data, "gone")
    assert getattr(data, "gone", 7) == 7
    assert data.get("gone") is None
    assert data.get("gone", 7) == 7


def test_names_with_two_underscores_are_no_members():
    data = to_data({"__class__": 1, "__x": 2})
    assert data.__class__ is Data
    assert data["__x"] == 2
    with pytest.raises(AttributeError, match="has no attribute '__x'"):
        getattr(data, "__x")
    with pytest.raises(AttributeError, match=r"write data\['__y'\] for such a member"):
        setattr(data, "__y", 1)


def test_plain_objects_that_were_put_in_become_attributes_when_read(data):
    data.new = {"deep": {"n": 1}, "rows": [{"n": 1}, [{"n": 2}]]}
    assert data.new.deep.n == 1
    assert data.new.rows[0].n == 1
    assert data.new.rows[1][0].n == 2
    data.new.rows.append({"n": 3})
    assert data.new.rows[-1].n == 3
    data["other"] = {"n": 1}
    assert data["other"].n == 1
    data.setdefault("third", {}).n = 1
    assert data.third == {"n": 1}
    data.update(fourth={"n": 1})
    assert data.get("fourth").n == 1
    assert [value.n for name, value in data.items() if name in ("other", "fourth")] == [1, 1]
    assert data.pop("fourth").n == 1
    assert "fourth" not in data


def test_a_list_stays_the_same_list_when_its_elements_become_attributes(data):
    rows = []
    data.rows = rows
    rows.append({"n": 1})
    assert data.rows is rows
    assert data.rows[0].n == 1
    assert rows[0].n == 1


# --- members named like methods of dict


def test_a_list_called_items_is_a_list_and_the_method(data):
    order = data.order
    assert [item.sku for item in order.items] == ["a"]
    order.items.append({"sku": "b"})
    assert [item.sku for item in order.items] == ["a", "b"]
    assert order["items"] is order.items
    assert order.get("items") is order.items
    assert dict(order.items())["status"] == "new"
    assert sorted(name for name, _ in order.items()) == ["items", "status", "tmp"]
    assert json.loads(json.dumps(data)) == plain(data)
    order.items = [{"sku": "c"}]
    assert order.items[0].sku == "c"
    del order.items
    assert sorted(name for name, _ in order.items()) == ["status", "tmp"]


def test_an_object_a_text_and_numbers_under_such_names(data):
    odd = to_data({"values": {"n": 1}, "keys": "abc", "get": 5, "pop": 1.5, "items": [1]})
    assert odd.values.n == 1
    assert sorted(map(str, odd.values())) == sorted(map(str, dict.values(odd)))
    assert odd.keys == "abc"
    assert list(odd.keys()) == ["values", "keys", "get", "pop", "items"]
    assert odd.get == 5
    assert odd.get("get") == 5
    assert odd.pop == 1.5
    assert json.loads(json.dumps(odd)) == plain(odd)
    assert {type(value) for value in plain({"a": odd.keys, "b": odd.get, "c": odd.pop}).values()} == {str, int, float}


@pytest.mark.parametrize("value", [None, True])
def test_null_and_booleans_under_such_names_are_members_that_cannot_be_called(value):
    odd = to_data({"items": value, "n": 1})
    assert odd.items is value
    with pytest.raises(TypeError, match="not callable"):
        odd.items()
    assert plain(odd) == {"items": value, "n": 1}
    assert dict(odd) == {"items": value, "n": 1}
    assert json.loads(dumps(plain(odd))) == {"items": value, "n": 1}
    assert copy.deepcopy(odd) == pickle.loads(pickle.dumps(odd)) == odd


def test_such_a_list_in_a_second_object_hides_that_ones_method(data):
    other = to_data({"n": 1})
    other.items = data.order.items
    assert other.items == data.order.items
    assert dict(other.items()) == {"n": 1, "items": [{"sku": "a"}]}
    assert "status" in dict(data.order.items())


def test_such_a_list_outlives_its_object_but_not_as_a_method():
    items = to_data({"items": [1]}).items
    assert items == [1]
    with pytest.raises(TypeError, match="the object that this 'items' was a member of is gone"):
        items()


def test_a_copy_of_the_data_is_freed_at_once():
    gc.collect()
    before = sum(isinstance(found, Data) for found in gc.get_objects())  # other tests may have left some
    gc.disable()
    try:
        for _ in range(50):
            data = to_data({"order": {"items": [1], "values": {"n": 1}}})
            data.order.items.append(2)
            del data
        assert sum(isinstance(found, Data) for found in gc.get_objects()) <= before
    finally:
        gc.enable()


# --- the data as a dict


def test_it_is_a_dict(data):
    assert isinstance(data, dict)
    assert data == {"order": {"status": "new", "tmp": 1, "items": [{"sku": "a"}]}, "$via": {"name": "shop"}}
    assert {**data} == dict(data) == data
    assert (data | {"n": 1}).n == 1
    assert ({"n": 1} | data).order.status == "new"
    assert data.copy().order is data.order
    assert isinstance(copy.copy(data), Data)
    assert {"order", "$via", "items", "get"} <= set(dir(data))
    assert repr(to_data({"items": [1]})) == "{'items': [1]}"
    match data:
        case {"order": {"status": status}}:
            assert status == "new"
    assert list(data.fromkeys(["a"], 1).items()) == [("a", 1)]


@often
@given(objects)
def test_copies_are_equal_and_apart(value):
    data = to_data(value)
    text = repr(value)
    for made in (copy.deepcopy(data), pickle.loads(pickle.dumps(data)), to_data(data)):
        assert isinstance(made, Data)
        assert repr(plain(made)) == text
        for name in list(made):
            made[name] = "other"
    assert repr(plain(data)) == text


@often
@given(objects)
def test_every_object_comes_back_as_it_was(value):
    data = to_data(value)
    for name in data:
        if not name.startswith("__") and name:
            assert getattr(data, name) == value[name]
    made = plain(data)
    assert repr(made) == repr(value)
    assert all(type(part) in (dict, list, str, int, float, bool, type(None)) for part in parts(made))


def parts(value):
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(inner)
