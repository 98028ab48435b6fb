"""How the registered things that a manifest knows are made and changed by REST: the same parts, read by the same rules."""

from __future__ import annotations

from typing import Final

from aos.control_plane.wire import written_part
from aos.kernel.errors import FieldError
from aos.kernel.manifest.values import Manifest
from aos.kernel.people import Permission
from aos.operations.documents import Fields, merge_patch, read_part, refuse_fields
from aos.operations.registry_records import Edit


def take_name(fields: Fields) -> tuple[str, Fields]:
    """Return the name in a body and the rest; raise InvalidRequest where it is missing or no text."""
    rest = dict(fields)
    name = rest.pop("name", None)
    if not isinstance(name, str):
        detail = "is missing: give the name" if name is None else "must be text"
        raise refuse_fields([FieldError("/name", detail)])
    return name, rest


_PERMISSIONS: Final = {
    "agents": Permission.AGENT_REGISTER,
    "budgets": Permission.BUDGET_WRITE,
    "people": Permission.PEOPLE_WRITE,
}


def new_part(edit: Edit, kind: str, name: str, *, fields: Fields) -> Manifest:
    """Return the manifest of one new part; who may not write it is told that first."""
    edit.require(_PERMISSIONS.get(kind, Permission.REGISTRY_WRITE))
    return read_part(edit.registry, kind, name, fields=written_part(fields))


def patched_part(edit: Edit, kind: str, name: str, *, document: Fields, patch: Fields) -> Manifest:
    """Return the manifest of one part changed by a merge patch; a name cannot be patched. Asks permission first."""
    edit.require(_PERMISSIONS.get(kind, Permission.REGISTRY_WRITE))
    given = dict(patch)
    if given.pop("name", name) != name:
        raise refuse_fields([FieldError("/name", f"cannot change: it is `{name}` for good")])
    return read_part(edit.registry, kind, name, fields=merge_patch(document, written_part(given)))
