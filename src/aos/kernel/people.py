"""People: their roles in an organization, and what each role permits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """The roles a member may hold."""

    ADMIN = "admin"
    OPERATOR = "operator"
    DEVELOPER = "developer"
    APPROVER = "approver"
    AUDITOR = "auditor"
    FINANCE = "finance"
    VIEWER = "viewer"


class Permission(StrEnum):
    """What a person may do in the control plane, alphabetically."""

    AGENT_OPERATE = "agent.operate"
    AGENT_READ = "agent.read"
    AGENT_REGISTER = "agent.register"
    APPROVAL_ANSWER = "approval.answer"
    APPROVAL_READ = "approval.read"
    AUDIT_READ = "audit.read"
    BUDGET_WRITE = "budget.write"
    CONTENT_READ = "content.read"
    KEY_ROTATE = "key.rotate"
    PEOPLE_WRITE = "people.write"
    POLICY_PUBLISH = "policy.publish"
    REGISTRY_READ = "registry.read"
    REGISTRY_WRITE = "registry.write"
    RUN_CONTROL = "run.control"
    RUN_READ = "run.read"
    RUN_START = "run.start"
    SECRET_WRITE = "secret.write"
    TRACE_READ = "trace.read"
    USAGE_READ = "usage.read"


_READS = frozenset(
    {
        Permission.AGENT_READ,
        Permission.APPROVAL_READ,
        Permission.REGISTRY_READ,
        Permission.RUN_READ,
        Permission.TRACE_READ,
        Permission.USAGE_READ,
    }
)
_RUNS = frozenset({Permission.RUN_START, Permission.RUN_CONTROL})

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.OPERATOR: _READS | _RUNS | {Permission.AGENT_OPERATE, Permission.CONTENT_READ},
    Role.DEVELOPER: _READS
    | _RUNS
    | {Permission.AGENT_REGISTER, Permission.REGISTRY_WRITE, Permission.SECRET_WRITE, Permission.CONTENT_READ},
    Role.APPROVER: _READS | {Permission.APPROVAL_ANSWER, Permission.CONTENT_READ},
    Role.AUDITOR: _READS | {Permission.AUDIT_READ, Permission.CONTENT_READ},
    Role.FINANCE: _READS | {Permission.BUDGET_WRITE},
    Role.VIEWER: _READS,
}


@dataclass(frozen=True, slots=True)
class Actor:
    """A signed-in person in one organization.

    `issuer_id` is the organization that issued the credential they signed in with: it opens that one and those that they
    founded with it. Where it is not given, the organization is its own issuer.
    """

    organization_id: UUID
    person_id: UUID
    email: str
    roles: frozenset[Role]
    issuer_id: UUID | None = None

    @property
    def issuer(self) -> UUID:
        """Return the organization that answers for who the person is."""
        return self.issuer_id or self.organization_id

    def may(self, permission: Permission) -> bool:
        """Say whether any role permits this."""
        return any(permission in ROLE_PERMISSIONS[role] for role in self.roles)


def roles_permit(roles: Iterable[str] | None, permission: Permission) -> bool:
    """Say whether any of these roles permits this; None are the roles of somebody who is no member."""
    known = [Role(role) for role in roles or () if role in Role.__members__.values()]
    return any(permission in ROLE_PERMISSIONS[role] for role in known)
