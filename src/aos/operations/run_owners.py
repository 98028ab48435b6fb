"""Whose rights runs have that nobody starts by hand: the owner of a schedule or hook, who is asked at each start.

Who may change such a thing could let its runs do what they may not themselves. So it is changed by its owner, or by somebody
who gives roles to people; anybody who writes the registry may take it over, or stop it.
"""

from __future__ import annotations

from uuid import UUID

from aos.kernel.errors import FieldError, Forbidden, InvalidRequest
from aos.kernel.hooks import HookSpec
from aos.kernel.people import Permission
from aos.kernel.schedules import ScheduleSpec
from aos.operations.registry_records import Edit


def owner_of(edit: Edit, spec: ScheduleSpec | HookSpec) -> UUID:
    """Return the owner that a spec names, the actor where it names none.

    Raises Forbidden where the actor may not act in their name, InvalidRequest for a stranger.
    """
    email = spec.owner or edit.actor.email
    if email == edit.actor.email:
        return edit.actor.person_id
    found = edit.registry.find("person", email)
    if found is None:
        detail = f"no person here has the address `{email[:80]}`"
        raise InvalidRequest(f"the owner of `{spec.name}`: {detail}", errors=[FieldError("/owner", detail)])
    if not edit.actor.may(Permission.PEOPLE_WRITE):
        raise Forbidden(
            f"`{spec.name}` acts with the rights of {email}: only they, or who has the permission "
            f"`{Permission.PEOPLE_WRITE}`, may write it; make yourself its owner"
        )
    return found.id
