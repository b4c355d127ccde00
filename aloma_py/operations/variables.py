"""Operations on a workspace's variables and secrets, and on the key that encrypts them."""

from __future__ import annotations

from aloma_py.errors import InputError, StoreError
from aloma_py.models import Json
from aloma_py.operations.answers.intake import Active, ChangedVariable, DeletedVariable, RotateAnswer, VariableShown
from aloma_py.operations.mentions import named_in
from aloma_py.operations.progress import telling
from aloma_py.operations.registry import caller, operation
from aloma_py.operations.roles import Role
from aloma_py.operations.sites import Site
from aloma_py.run.handles import iso
from aloma_py.store import rotation
from aloma_py.store.stash import KEY_VARIABLE, OLD_KEY_VARIABLE, parse_key
from aloma_py.store.variables import Variable, Variables


class VariableOperations:
    """What can be asked of a workspace's variables and secrets. A secret's value is never in an answer.

    Changes are answered with ``active``: whether the steps have them from now on. ``False``, with ``problem``, where
    they are stored but the workspace could not be loaded anew: then its steps go on with what they had.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.variables = Variables(site.store, site.workspace)

    @operation(Role.VIEWER, "GET /variables", on_tasks=True)
    async def list_variables(self) -> list[VariableShown]:
        """The variables, and the secrets without their values, by name."""
        return [to_json(one) for one in self.variables.list()]

    @operation(Role.DEVELOPER, "PUT /variables/{name}", on_tasks=True)
    async def set_variable(
        self, name: str, value: Json = None, description: str | None = None, new: bool = False
    ) -> ChangedVariable:
        """Set a variable to a JSON value; with ``new`` only where there is none of that name yet."""
        now, who = self.site.engine.clock.now(), caller.get().name
        made = await self.variables.set(name, value, at=now, by=who, description=description, new=new)
        return {**to_json(made), **await self._bring_in()}

    @operation(Role.DEVELOPER, "DELETE /variables/{name}", on_tasks=True)
    async def delete_variable(self, name: str) -> DeletedVariable:
        """Delete a variable."""
        await self.variables.delete(name, secret=False)
        named = await named_in(self.site, name)
        return {"name": name, "deleted": True, "named_in": named, **await self._bring_in()}

    @operation(Role.VIEWER, "GET /secrets", on_tasks=True)
    async def list_secrets(self) -> list[VariableShown]:
        """The secrets by name, without their values."""
        return [to_json(one) for one in self.variables.list() if one.secret]

    @operation(Role.DEVELOPER, "PUT /secrets/{name}", hidden=("value",), on_tasks=True)
    async def set_secret(
        self, name: str, value: str, description: str | None = None, new: bool = False
    ) -> ChangedVariable:
        """Set a secret to a text; with ``new`` only where there is none of that name yet."""
        now, who = self.site.engine.clock.now(), caller.get().name
        made = await self.variables.set_secret(name, value, at=now, by=who, description=description, new=new)
        return {**to_json(made), **await self._bring_in()}

    @operation(Role.DEVELOPER, "DELETE /secrets/{name}", on_tasks=True)
    async def delete_secret(self, name: str) -> DeletedVariable:
        """Delete a secret."""
        await self.variables.delete(name, secret=True)
        named = await named_in(self.site, name)
        return {"name": name, "deleted": True, "named_in": named, **await self._bring_in()}

    @operation(Role.ADMIN, "POST /key/rotate", hidden=("new_key",), account=True)
    async def rotate_key(self, new_key: str | None = None) -> RotateAnswer:
        """Encrypt all secrets, and every task's confidential values, with another key.

        ``{before, fingerprint, values, damaged, next}``: ``values`` is how many were encrypted anew, ``damaged`` says
        of those that could not be read, ``next`` what there is left to do. ``new_key`` is base64 of 32 bytes; without
        it the key is random, unless the present one comes from the environment.
        """
        key = None if new_key is None else parse_given(new_key)
        done = await rotation.rotate(self.site.store, key, telling("encrypting"))
        place = self.site.store.path
        if done.in_file and place is not None:
            left = (
                f"the key is in {place.name}.key, the one before it in {place.name}.key.old: backups made until now "
                "need that one"
            )
        else:
            left = (
                f"before the next start, put the new key into {KEY_VARIABLE}, and the one before it into "
                f"{OLD_KEY_VARIABLE}: tasks that are being advanced now may need it once more"
            )
        return {
            "before": done.before,
            "fingerprint": done.fingerprint,
            "values": done.values,
            "damaged": [*done.damaged],
            "next": left,
        }

    async def _bring_in(self) -> Active:
        active, problem = await self.site.bring_in()
        return {"active": active} if problem is None else {"active": active, "problem": problem}


def to_json(one: Variable) -> VariableShown:
    """``{name, secret, value?, description, updated_at, updated_by}``; no ``value`` for a secret."""
    shown: VariableShown = {
        "name": one.name,
        "secret": one.secret,
        "description": one.description,
        "updated_at": iso(one.updated_at),
        "updated_by": one.updated_by,
    }
    return shown if one.secret else {**shown, "value": one.value}


def parse_given(text: str) -> bytes:
    """The key that an argument holds; the ``InputError`` for one that is none does not have it in it."""
    try:
        return parse_key(text, "the argument new_key")
    except StoreError as error:
        raise InputError(str(error)) from None
