"""The names of the database roles: they carry the database's oid, since roles are shared by a whole server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoleNames:
    """The two roles that running processes log in as; the owner is the login of migrations."""

    app: str
    machine: str


def role_names(database_oid: int) -> RoleNames:
    """Return the role names of the database with this oid."""
    return RoleNames(app=f"aos_{database_oid}_app", machine=f"aos_{database_oid}_machine")
