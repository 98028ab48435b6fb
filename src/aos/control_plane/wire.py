"""What is shown of each thing: values of the operations as JSON, and money and parts of a manifest read back from it.

Times are RFC 3339 in UTC, money is `{"amount", "currency"}`. The schemas of `shapes` describe exactly this.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import UUID

from aos.kernel.errors import FieldError
from aos.kernel.json import Json
from aos.kernel.jwk import public_jwk
from aos.kernel.manifest.models import PER_MILLION
from aos.kernel.manifest.values import AgentSpec, ToolSpec, WorkflowSpec
from aos.kernel.money import Money, format_amount
from aos.kernel.people import ROLE_PERMISSIONS, Role
from aos.kernel.policy.values import Rule
from aos.operations.agent_keys import AddedKey, AgentKey, ApiKey
from aos.operations.agents import AgentDetail, AgentVersion
from aos.operations.budgets import BudgetDetail
from aos.operations.coverage import Coverage
from aos.operations.credentials import Secret
from aos.operations.departments import Department
from aos.operations.documents import (
    Fields,
    agent_document,
    budget_document,
    policy_document,
    refuse_fields,
    tool_document,
    workflow_document,
)
from aos.operations.organizations import OrganizationDetail
from aos.operations.people import PersonalToken, PersonDetail
from aos.operations.policies import PolicyDetail, PolicyVersion
from aos.operations.queues import Queue
from aos.operations.signing_keys import SigningKeyDetail
from aos.operations.tools import ToolDetail, ToolVersion
from aos.operations.workflows import WorkflowDetail, WorkflowVersion

Shown = dict[str, Any]

MONEY_PLACES: Final = (("price", "per_call"), ("price", "per_second"), ("limit",), ("budget", "limit"))
"""Where money stands in a part; a manifest writes it as one text, REST as an object."""


def instant(moment: datetime | None) -> str | None:
    """Write a time in UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def money(amount: Money | None) -> Shown | None:
    """Write money."""
    return None if amount is None else {"amount": format_amount(amount.nanos), "currency": amount.currency}


def written_part(fields: Fields) -> Fields:
    """Return a part as a manifest writes it: money objects become texts; raises InvalidRequest for a malformed one."""
    part = dict(fields)
    for place in MONEY_PLACES:
        inner, name = (part.get(place[0]), place[1]) if len(place) == 2 else (part, place[0])
        if not isinstance(inner, dict) or not isinstance(inner.get(name), dict):
            continue
        text = _money_text(inner[name], "/" + "/".join(place))
        if inner is part:
            part[name] = text
        else:
            part[place[0]] = {**inner, name: text}
    price = part.get("price")
    if isinstance(price, dict):
        part["price"] = _written_figures(price, "/price")
    elif isinstance(price, list):
        part["price"] = [
            _written_figures(each, f"/price/{index}") if isinstance(each, dict) else each
            for index, each in enumerate(price)
        ]
    return part


def _written_figures(price: Fields, at: str) -> Fields:
    """Return the figures of a model's price as a manifest writes them."""
    return {
        name: _money_text(value, f"{at}/{name}") if name in PER_MILLION and isinstance(value, dict) else value
        for name, value in price.items()
    }


def _money_text(value: Json, at: str) -> str:
    assert isinstance(value, dict)
    unknown = [name for name in value if name not in ("amount", "currency")]
    errors = [FieldError(f"{at}/{name}", "is not a field of money: amount, currency") for name in unknown]
    errors += [
        FieldError(f"{at}/{name}", "must be text, like `12.30` and `EUR`")
        for name in ("amount", "currency")
        if not isinstance(value.get(name), str)
    ]
    if str(value.get("amount", "")).startswith("-"):
        errors.append(FieldError(f"{at}/amount", f"`{str(value['amount'])[:40]}` is negative"))
    if errors:
        raise refuse_fields(errors)
    return f"{value['amount']} {value['currency']}"


def agent(detail: AgentDetail, organization_id: UUID, coverage: Coverage | None = None) -> Shown:
    """Show an agent, and where it is looked at by itself, how much of what it does passes the gate."""
    return {
        "id": detail.id,
        "name": detail.spec.name,
        "status": detail.status.value,
        "version": detail.version,
        "draft_version": detail.draft_version,
        **agent_fields(detail.spec),
        "identity": {
            "id": f"spiffe://aos/{organization_id}/agent/{detail.spec.name}",
            "keys": [
                {
                    "id": key.id,
                    "thumbprint": key.thumbprint,
                    "public_key": public_jwk(key.public_key),
                    "proved_at": instant(key.proved_at),
                }
                for key in detail.keys
            ],
        },
        "created_at": instant(detail.created_at),
        "updated_at": instant(detail.updated_at),
        "retired_at": instant(detail.retired_at),
        "coverage": None if coverage is None else _coverage(coverage),
        "presence": detail.seen.presence.value if detail.seen else None,
        "first_seen_at": instant(detail.seen.first_at) if detail.seen else None,
        "last_seen_at": instant(detail.seen.last_at) if detail.seen else None,
    }


def _coverage(found: Coverage) -> Shown:
    return {
        "told": found.told,
        "passes": found.passes,
        "models": list(found.models),
        "models_governed": list(found.models_governed),
        "tools": list(found.tools),
        "tools_governed": list(found.tools_governed),
        "framework_own": list(found.own),
    }


def agent_fields(spec: AgentSpec) -> Shown:
    """Show what an agent's version says."""
    price = None if spec.price_per_second is None else {"per_second": money(spec.price_per_second)}
    return {
        "department": None,
        "goal": "",
        "runtime": None,
        "queue": None,
        "concurrency": None,
        **agent_document(spec),
        "price": price,
    }


def agent_version(version: AgentVersion) -> Shown:
    """Show one version of an agent."""
    return {"version": version.version, **agent_fields(version.spec), **made_of(version.digest, version)}


def tool(detail: ToolDetail) -> Shown:
    """Show a tool."""
    return {
        "id": detail.id,
        "name": detail.spec.name,
        "version": detail.version,
        "draft_version": detail.draft_version,
        "transport": detail.spec.transport.value,
        "held": None if detail.held is None else {"why": detail.held.why, "since": instant(detail.held.since)},
        **tool_fields(detail.spec),
        "created_at": instant(detail.created_at),
        "updated_at": instant(detail.updated_at),
        "retired_at": instant(detail.retired_at),
    }


def tool_fields(spec: ToolSpec) -> Shown:
    """Show what a tool's version says."""
    return {
        "concurrency": None,
        **tool_document(spec),
        "price": None if spec.price is None else {"per_call": money(spec.price)},
    }


def tool_version(version: ToolVersion) -> Shown:
    """Show one version of a tool."""
    return {"version": version.version, **tool_fields(version.spec), **made_of(version.digest, version)}


def policy(detail: PolicyDetail) -> Shown:
    """Show a policy."""
    return {
        "id": detail.id,
        "name": detail.rule.id,
        "version": detail.rule.version,
        "state": detail.state,
        "active_version": detail.active_version,
        **policy_fields(detail.rule),
        "created_at": instant(detail.created_at),
        "updated_at": instant(detail.updated_at),
        "retired_at": instant(detail.retired_at),
    }


def policy_fields(rule: Rule) -> Shown:
    """Show what a policy's version says."""
    return {"when": None, "approvers": None, **policy_document(rule)}


def policy_version(version: PolicyVersion) -> Shown:
    """Show one version of a policy."""
    return {
        "version": version.rule.version,
        "state": version.state,
        **policy_fields(version.rule),
        **made_of(version.digest, version),
        "activated_at": instant(version.activated_at),
    }


def met_rule(rule: Rule) -> Shown:
    """Show a rule that an action meets."""
    return {"id": rule.id, "version": rule.version, "source": rule.source.value, **policy_fields(rule)}


def budget(detail: BudgetDetail) -> Shown:
    """Show a budget."""
    return {
        "id": detail.id,
        "name": detail.spec.id,
        "revision": detail.revision,
        **budget_document(detail.spec),
        "limit": money(detail.spec.limit),
        "settled": money(detail.settled),
        "held": money(detail.held),
        "left": money(detail.left),
        "created_at": instant(detail.created_at),
        "retired_at": instant(detail.retired_at),
    }


def workflow(detail: WorkflowDetail) -> Shown:
    """Show a workflow."""
    return {
        "id": detail.id,
        "name": detail.spec.name,
        "version": detail.version,
        "draft_version": detail.draft_version,
        **workflow_fields(detail.spec),
        "created_at": instant(detail.created_at),
        "updated_at": instant(detail.updated_at),
        "retired_at": instant(detail.retired_at),
    }


def workflow_fields(spec: WorkflowSpec) -> Shown:
    """Show what a workflow's version says."""
    return {"description": "", "input": None, "output": None, **workflow_document(spec)}


def workflow_version(version: WorkflowVersion) -> Shown:
    """Show one version of a workflow."""
    return {"version": version.version, **workflow_fields(version.spec), **made_of(version.digest, version)}


def department(detail: Department) -> Shown:
    """Show a department."""
    return {
        "id": detail.id,
        "name": detail.name,
        "cost_center": detail.cost_center,
        "created_at": instant(detail.created_at),
    }


def queue(detail: Queue) -> Shown:
    """Show a queue."""
    return {
        "id": detail.id,
        "name": detail.name,
        "concurrency": detail.concurrency,
        "under_way": detail.under_way,
        "created_at": instant(detail.created_at),
        "updated_at": instant(detail.updated_at),
    }


def person(detail: PersonDetail) -> Shown:
    """Show a person."""
    return {
        "id": detail.id,
        "email": detail.email,
        "name": detail.name,
        "roles": [role.value for role in detail.roles],
        "created_at": instant(detail.created_at),
    }


def role(name: Role) -> Shown:
    """Show a role with what it permits."""
    return {"name": name.value, "permissions": sorted(permission.value for permission in ROLE_PERMISSIONS[name])}


def organization(detail: OrganizationDetail) -> Shown:
    """Show an organization with the asking person's roles in it."""
    return {
        "id": detail.id,
        "name": detail.name,
        "currency": detail.currency,
        "timezone": detail.timezone,
        "environment": detail.environment,
        "run_clock": detail.run_clock,
        "roles": sorted(role.value for role in detail.roles),
    }


def personal_token(detail: PersonalToken) -> Shown:
    """Show a personal token, without the token."""
    return {
        "id": detail.id,
        "label": detail.label,
        "created_at": instant(detail.created_at),
        "expires_at": instant(detail.expires_at),
        "revoked_at": instant(detail.revoked_at),
    }


def agent_key(detail: AgentKey) -> Shown:
    """Show an agent's public key."""
    return {
        "id": detail.id,
        "thumbprint": detail.thumbprint,
        "public_key": public_jwk(detail.public_key),
        "proved_at": instant(detail.proved_at),
        "created_at": instant(detail.created_at),
        "revoked_at": instant(detail.revoked_at),
    }


def private_jwk(key: AddedKey | None) -> Shown | None:
    """Show the private half of a pair that AOS made, as JWK (RFC 8037): once."""
    if key is None or key.private is None:
        return None
    return {**public_jwk(key.public), "d": public_jwk(key.private)["x"], "kid": key.thumbprint}


def signing_key(detail: SigningKeyDetail) -> Shown:
    """Show a signing key, without its private half."""
    return {
        "id": detail.id,
        "purpose": detail.purpose,
        "state": detail.state,
        "public_key": None if detail.public_key is None else public_jwk(bytes(detail.public_key)),
        "created_at": instant(detail.created_at),
        "retired_at": instant(detail.retired_at),
    }


def api_key(detail: ApiKey) -> Shown:
    """Show an API key, without the key."""
    return {
        "id": detail.id,
        "label": detail.label,
        "prefix": f"aos_{detail.prefix}",
        "created_at": instant(detail.created_at),
        "expires_at": instant(detail.expires_at),
        "revoked_at": instant(detail.revoked_at),
    }


def secret(detail: Secret) -> Shown:
    """Show a secret, without its value."""
    return {
        "id": detail.id,
        "name": detail.name,
        "version": detail.version,
        "created_at": instant(detail.created_at),
        "updated_at": instant(detail.updated_at),
    }


def names(items: Iterable[Role]) -> list[str]:
    """Show roles by name."""
    return sorted(item.value for item in items)


class _Made(Protocol):
    """A version, as far as it says who made it when."""

    @property
    def created_by(self) -> UUID | None: ...
    @property
    def created_at(self) -> datetime: ...


def made_of(digest: bytes, version: _Made) -> Shown:
    """Show who made a version when, and its digest."""
    return {"digest": digest.hex(), "created_by": version.created_by, "created_at": instant(version.created_at)}
