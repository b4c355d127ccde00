"""The account's people, tokens and ledger in the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aloma_py.errors import NotFoundError, StateError
from aloma_py.store import SQLiteStore
from aloma_py.store.ledger import LONGEST, Ledger
from aloma_py.store.people import ACCOUNT, People, Person

pytestmark = pytest.mark.anyio

NOW = 1_767_225_600_000
HOUR = 3_600_000


@pytest.fixture
async def store() -> AsyncIterator[SQLiteStore]:
    async with SQLiteStore(":memory:") as opened:
        yield opened


@pytest.fixture
async def people(store: SQLiteStore) -> People:
    return People(store)


async def invited(people: People, email: str, *, ready: bool = True, **roles: str) -> Person:
    """Somebody with those roles (``account`` for all workspaces), and with a password unless not ``ready``."""
    given = {ACCOUNT if place == "account" else place: role for place, role in roles.items()}
    person = await people.invite(email, email.split("@")[0], given, email.encode(), "test", NOW, NOW + HOUR)
    if not ready:
        return person
    accepted = await people.accept(email.encode(), f"hash of {email}", NOW)
    assert accepted is not None
    return accepted


async def test_the_first_admin_is_made_once_and_with_the_token_of_this_start(people: People) -> None:
    assert await people.add_setup(b"one", NOW)
    assert await people.add_setup(b"two", NOW)
    with pytest.raises(StateError, match="not the setup token of this start"):
        await people.begin("ada@example.org", "Ada", "hash", b"one", NOW)
    ada = await people.begin("ada@example.org", "Ada", "hash", b"two", NOW)
    assert (ada.roles, ada.ready) == ({ACCOUNT: "admin"}, True)
    assert people.token("setup", b"two") is None
    with pytest.raises(StateError, match="set up already"):
        await people.begin("eve@example.org", "Eve", "hash", b"two", NOW)
    assert not await people.add_setup(b"three", NOW)


async def test_a_key_too_closes_the_first_run_also_when_it_is_revoked(people: People) -> None:
    assert await people.add_setup(b"setup", NOW)
    key = await people.add_key(b"key", "ci", "", "admin", "local", NOW, None)
    await people.revoke_key(key.id, NOW)
    assert not people.is_new()
    with pytest.raises(StateError, match="set up already"):
        await people.begin("eve@example.org", "Eve", "hash", b"setup", NOW)


async def test_an_email_belongs_to_one_person(people: People) -> None:
    await invited(people, "ada@example.org", account="admin")
    with pytest.raises(StateError, match="somebody with the email"):
        await invited(people, "ada@example.org", account="viewer")
    assert people.find("ADA@example.org").roles == {ACCOUNT: "admin"}
    with pytest.raises(NotFoundError, match="did you mean 'ada@example"):
        people.find("ada@example.com")


@pytest.mark.parametrize("how", ["remove", "disable", "demote", "take away"])
async def test_the_last_admin_stays(people: People, how: str) -> None:
    async def lose(who: Person) -> None:
        if how == "remove":
            await people.remove(who.id)
        else:
            role = {"disable": "admin", "demote": "developer", "take away": None}[how]
            await people.update(who.id, NOW, name=None, roles={ACCOUNT: role}, disabled=how == "disable" or None)

    ada = await invited(people, "ada@example.org", account="admin", orders="viewer")
    await invited(people, "bob@example.org", account="developer", orders="admin")
    await invited(people, "eve@example.org", account="admin", ready=False)
    with pytest.raises(StateError, match="without an admin"):
        await lose(ada)
    assert people.find(ada.id) == ada
    assert await people.accept(b"eve@example.org", "hash", NOW) is not None, "who can sign in is an admin that counts"
    await lose(ada)
    assert sum(person.roles.get(ACCOUNT) == "admin" and not person.disabled_at for person in people.all()) == 1


async def test_an_invitation_sets_the_password_once_and_in_time(people: People) -> None:
    bob = await invited(people, "bob@example.org", orders="viewer", ready=False)
    assert people.password_of("bob@example.org") is None
    assert await people.accept(b"bob@example.org", "late", NOW + HOUR) is None
    await people.invite_again(bob.id, b"again", "test", NOW, NOW + HOUR)
    assert await people.accept(b"bob@example.org", "of the old one", NOW) is None
    assert await people.accept(b"again", "right", NOW) is not None
    assert await people.accept(b"again", "twice", NOW) is None
    found = people.password_of("bob@example.org")
    assert found is not None and found[1] == "right"


async def test_sessions_end_when_the_person_is_disabled_or_sets_another_password(people: People) -> None:
    bob = await invited(people, "bob@example.org", account="viewer")
    assert await people.open_session(bob.id, "hash of bob@example.org", b"first", NOW, NOW + HOUR)
    await people.set_password(bob.id, "other", "hash of bob@example.org")
    assert people.token("session", b"first") is None
    assert not await people.open_session(bob.id, "hash of bob@example.org", b"stale", NOW, NOW + HOUR)
    assert await people.open_session(bob.id, "other", b"second", NOW, NOW + HOUR)
    await people.update(bob.id, NOW, name=None, roles={}, disabled=True)
    assert people.token("session", b"second") is None
    assert not await people.open_session(bob.id, "other", b"third", NOW, NOW + HOUR)
    with pytest.raises(StateError, match="is disabled"):
        await people.invite_again(bob.id, b"again", "test", NOW, NOW + HOUR)
    await people.update(bob.id, NOW, name="Robert", roles={}, disabled=False)
    assert await people.open_session(bob.id, "other", b"fourth", NOW, NOW + HOUR)
    assert people.find(bob.id).name == "Robert"


async def test_who_is_removed_takes_sessions_and_roles_along(people: People, store: SQLiteStore) -> None:
    bob = await invited(people, "bob@example.org", account="viewer", orders="developer")
    await people.open_session(bob.id, "hash of bob@example.org", b"session", NOW, NOW + HOUR)
    await people.remove("bob@example.org")
    assert people.token("session", b"session") is None
    with store.reading() as reader:
        assert reader.execute("SELECT count(*) FROM membership").fetchone() == (0,)


async def test_old_sessions_are_removed_when_somebody_signs_in(people: People) -> None:
    bob = await invited(people, "bob@example.org", account="viewer")
    await people.open_session(bob.id, "hash of bob@example.org", b"old", NOW, NOW + HOUR)
    await people.open_session(bob.id, "hash of bob@example.org", b"new", NOW + HOUR, NOW + 2 * HOUR)
    assert people.token("session", b"old") is None
    assert people.token("session", b"new") is not None


async def test_only_the_hash_of_a_key_is_kept_and_a_name_may_be_used_again(people: People) -> None:
    key = await people.add_key(b"one", "ci", "orders", "operator", "local", NOW, NOW + HOUR)
    with pytest.raises(StateError, match="a key 'ci' already"):
        await people.add_key(b"two", "ci", "orders", "viewer", "local", NOW, None)
    assert people.token("session", b"one") is None, "a key is no session"
    assert key.holds(NOW + HOUR - 1) and not key.holds(NOW + HOUR)
    again = await people.add_key(b"three", "ci", "orders", "viewer", "local", NOW + HOUR, None)
    assert not (await people.revoke_key(again.id, NOW)).holds(NOW)
    with pytest.raises(NotFoundError, match="there is no key 'cii'"):
        await people.revoke_key("cii", NOW)


async def test_the_ledger_is_read_backwards_and_by_workspace(store: SQLiteStore) -> None:
    ledger = Ledger(store)
    for n in range(5):
        await ledger.note(NOW + n, "ada", "orders" if n % 2 else "", "save", {"n": n})
    assert [line.details["n"] for line in ledger.list()] == [4, 3, 2, 1, 0]
    first, second = ledger.list("orders", limit=1), ledger.list("orders")
    assert [line.details["n"] for line in second] == [3, 1]
    assert ledger.list("orders", before=first[0].no) == second[1:]


async def test_what_is_long_is_cut_in_the_ledger(store: SQLiteStore) -> None:
    ledger = Ledger(store)
    await ledger.note(NOW, "ada", "", "save", {"text": "x" * 10_000, "in": [{"deep": "y" * 10_000}]})
    details = ledger.list()[0].details
    assert details == {"text": "x" * LONGEST + "…", "in": [{"deep": "y" * LONGEST + "…"}]}


async def test_it_is_still_there_when_the_store_is_opened_again(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "a.db") as store:
        ada = await invited(People(store), "ada@example.org", account="admin")
    async with SQLiteStore(tmp_path / "a.db") as store:
        assert People(store).all() == [ada]
