"""What holds for every JSON value: diff and apply are inverse, merging is what the changes say."""

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from aloma_py.changes import apply, change_from_json, change_to_json, copy_json, describe, diff, merge, same
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Change
from aloma_py.paths import MISSING, get, overlaps

often = settings(deadline=None, max_examples=200)

names = st.sampled_from(["a", "b", "items", "", "0", "1", "x.y", "é", "\ud800"])
atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 0.0, -0.0, 1.0, "", "1", "true"]),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
)
values = st.recursive(
    atoms, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)
objects = st.dictionaries(names, values, max_size=5)


@st.composite
def revisions(draw, value):
    """A value that is like ``value``, with some members and elements changed, added, removed or moved."""
    if isinstance(value, dict) and draw(st.integers(0, 9)):
        made = {}
        for name, member in value.items():
            fate = draw(st.integers(0, 5))
            if fate:
                made[name] = draw(revisions(member)) if fate == 1 else copy.deepcopy(member)
        return made | draw(st.dictionaries(names, values, max_size=1))
    if isinstance(value, list) and draw(st.integers(0, 9)):
        made = [
            draw(revisions(element)) if not draw(st.integers(0, 3)) else copy.deepcopy(element) for element in value
        ]
        fate = draw(st.integers(0, 5))
        if fate == 1:
            made = draw(st.permutations(made))
        elif fate == 2:
            made = [draw(values), *made]
        elif fate == 3:
            made = made[1:]
        return [*made, *draw(st.lists(values, max_size=2))]
    return draw(values) if draw(st.booleans()) else copy.deepcopy(value)


@st.composite
def before_and_after(draw, runs=1):
    base = draw(objects)
    return base, [draw(revisions(base)) for _ in range(runs)]


def meet(one, other):
    """Whether two changes or conflicts are at one place in the data."""
    return overlaps(one.path, other.path)


def in_json(value):
    """Text that is equal exactly where the values are the same JSON."""
    if isinstance(value, dict):
        return {name: in_json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [in_json(element) for element in value]
    return repr(value)


@often
@given(before_and_after())
def test_applying_the_difference_gives_what_came_after(pair):
    before, (after,) = pair
    unchanged = in_json(before)
    changes = diff(before, after)
    assert in_json(apply(before, changes)) == in_json(after)
    assert in_json(before) == unchanged, "apply altered its input"
    assert not any(
        meet(one, other) for i, one in enumerate(changes) for other in changes[:i] if "append" not in (one.op, other.op)
    )


@often
@given(values, values)
def test_any_value_leads_to_any_other(before, after):
    assert in_json(apply(before, diff(before, after))) == in_json(after)


@often
@given(values)
def test_no_difference_no_change(value):
    assert diff(value, copy.deepcopy(value)) == ()
    assert same(value, loads(dumps(value)))


@often
@given(values, values)
def test_same_means_the_same_json(one, other):
    assert same(one, other) == (in_json(one) == in_json(other))
    assert same(one, copy.deepcopy(one))


@often
@given(values)
def test_a_copy_is_the_same_and_shares_nothing(value):
    before = in_json(value)
    made = copy_json(value)
    assert in_json(made) == before

    def spoil(part):
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            spoil(inner)
        if isinstance(part, (dict, list)):
            part.clear()

    spoil(made)
    assert in_json(value) == before


@often
@given(before_and_after())
def test_every_change_survives_the_store(pair):
    before, (after,) = pair
    for change in diff(before, after):
        again = change_from_json(loads(dumps(change_to_json(change))))
        assert again.op == change.op
        assert [(type(part), part) for part in again.path] == [(type(part), part) for part in change.path]
        assert same(again.value, change.value)
        assert describe(change)


changes_of_any_kind = st.lists(
    st.builds(
        lambda op, path, value: Change(op, tuple(path), value if op != "append" else [value]),
        st.sampled_from(["set", "delete", "append"]),
        st.lists(names | st.integers(0, 3), max_size=3),
        values,
    ),
    max_size=4,
)


@often
@given(values, changes_of_any_kind)
def test_any_change_can_be_applied_to_any_data_and_alters_neither(data, changes):
    unchanged = in_json(data), [in_json(change.value) for change in changes]
    made = apply(data, changes)
    dumps(made)
    assert (in_json(data), [in_json(change.value) for change in changes]) == unchanged
    for change in changes[-1:]:
        if change.op == "set":
            assert same(get(made, change.path), change.value)
        elif change.op == "append":
            assert same(get(made, change.path)[-1:], change.value)


@often
@given(objects, st.lists(changes_of_any_kind, max_size=4))
def test_what_was_kept_leads_from_the_base_to_the_merged_data(base, changes):
    unchanged = in_json(base)
    merged = merge(base, [(f"s{n}", made) for n, made in enumerate(changes)])
    replayed = base
    for kept in merged.changes:
        replayed = apply(replayed, kept)
    assert in_json(replayed) == in_json(merged.data)
    assert len(merged.changes) == len(changes)
    assert in_json(base) == unchanged
    for conflict in merged.conflicts:
        assert int(conflict.lost[1:]) < int(conflict.won[1:])


@often
@given(before_and_after())
def test_one_run_merges_as_it_is_applied(pair):
    before, (after,) = pair
    changes = diff(before, after)
    merged = merge(before, [("idle", []), ("only", changes)])
    assert in_json(merged.data) == in_json(after)
    assert merged.changes == ((), changes)
    assert merged.conflicts == ()


@often
@given(objects, st.integers(0, 3))
def test_runs_that_changed_nothing_leave_the_base(base, count):
    merged = merge(base, [(f"s{n}", []) for n in range(count)])
    assert merged.data is base
    assert merged.conflicts == ()


@often
@given(before_and_after(runs=3), st.permutations(range(3)))
def test_runs_that_do_not_meet_merge_in_any_order(states, order):
    base, afters = states
    runs = []
    for number, after in enumerate(afters):
        taken = [change for _, changes in runs for change in changes]
        free = [c for c in diff(base, after) if not any(meet(c, other) for other in taken)]
        runs.append((f"s{number}", free))
    merged = merge(base, runs)
    assert merged.conflicts == ()
    assert in_json(merge(base, [runs[number] for number in order]).data) == in_json(merged.data)
    one_by_one = base
    for run in runs:
        one_by_one = merge(one_by_one, [run]).data
    assert in_json(one_by_one) == in_json(merged.data)


def untouched(write, base, data):
    """Whether what ``write`` did to ``base`` is in ``data`` exactly so."""
    now = get(data, write.path)
    if write.op == "append":
        start = len(get(base, write.path))
        return isinstance(now, list) and same(now[start : start + len(write.value)], write.value)
    return now is MISSING if write.op == "delete" else same(now, write.value)


def still_there(value, now):
    """Whether ``now`` is ``value``, to which members and elements may have been added."""
    if isinstance(value, dict) and isinstance(now, dict):
        return all(name in now and still_there(member, now[name]) for name, member in value.items())
    if isinstance(value, list) and isinstance(now, list):
        return len(value) <= len(now) and all(map(still_there, value, now))
    return same(value, now)


@often
@given(before_and_after(runs=2))
def test_a_conflict_is_told_where_the_later_run_undoes_the_earlier(states):
    base, (first, second) = states
    one, two = diff(base, first), diff(base, second)
    merged = merge(base, [("one", one), ("two", two)])
    for conflict in merged.conflicts:
        assert any(meet(conflict, write) for write in one)
        assert any(meet(conflict, write) for write in two)
    if merged.conflicts:
        assert not all(untouched(write, base, merged.data) for write in one)
    for write in one if not merged.conflicts else ():
        assert untouched(write, base, merged.data) or still_there(write.value, get(merged.data, write.path))


@often
@given(before_and_after())
def test_two_runs_that_did_the_same_do_not_conflict(pair):
    base, (after,) = pair
    changes = diff(base, after)
    merged = merge(base, [("one", changes), ("two", changes)])
    assert merged.conflicts == ()
    if not any(change.op == "append" for change in changes):
        assert in_json(merged.data) == in_json(after)


@often
@given(
    objects, st.lists(st.lists(values, min_size=1, max_size=2), min_size=2, max_size=4), st.lists(values, max_size=3)
)
def test_all_that_was_appended_is_kept_in_order(base, added, present):
    base = base | {"log": present}
    runs = [(f"s{n}", diff(base, base | {"log": [*present, *more]})) for n, more in enumerate(added)]
    merged = merge(base, runs)
    assert in_json(merged.data["log"]) == in_json([*present, *(element for more in added for element in more)])
    assert merged.conflicts == ()
