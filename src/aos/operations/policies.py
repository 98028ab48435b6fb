"""Policies: rules in immutable versions, of which at most one is active; who may not publish leaves a draft.

Before a version is stored it is compiled together with every rule in force: what is published compiles, for every tool
that it may match.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from aos.kernel.acts import ActKind
from aos.kernel.errors import Conflict, FieldError, InvalidCondition, InvalidRequest, NotFound
from aos.kernel.ledger.record import RecordKind
from aos.kernel.people import Actor, Permission
from aos.kernel.policy.index import compile_policies, meets_action, meets_agent
from aos.kernel.policy.permissions import permission_rules
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.specs import rule_from, spec_digest, spec_of
from aos.kernel.tools import Tool
from aos.operations.pages import Page, PageQuery, find_one, list_page, list_versions
from aos.operations.registry import Entry, read_registry, tool_of, version_required
from aos.operations.registry_records import Edit, reading
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class PolicyDetail:
    """One policy at its newest version; `active_version` is the one in force, None where none is."""

    id: UUID
    rule: Rule
    state: str
    active_version: int | None
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One immutable version of a policy."""

    rule: Rule
    state: str
    digest: bytes
    created_by: UUID | None
    created_at: datetime
    activated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Explained:
    """The rules that an agent's action meets, whatever their conditions say, most severe first."""

    agent: str
    action: str
    rules: tuple[Rule, ...]


def save_policy(edit: Edit, rule: Rule, *, new: bool | None = None, checked: bool = False) -> Rule:
    """Store a rule as its policy's next version and return it; published where the actor may, else a draft.

    `new` True refuses a name that exists, False one that does not. Raises InvalidCondition, unless `checked` says that
    the caller compiled it with all others, Conflict and NotFound.
    """
    edit.require(Permission.REGISTRY_WRITE)
    if not checked:
        check_rules(edit, [rule], alone=True)
    found = edit.registry.find("policy", rule.id)
    live = found is not None and not found.retired
    if new is True and live:
        raise Conflict(f"policy `{rule.id}` exists already")
    if new is False and not live:
        raise NotFound(f"there is no policy `{rule.id}`")
    waits = edit.must_wait("policy", rule.id)
    waiting = edit.registry.drafts.get(("policy", rule.id))
    if waits and new is None and waiting == replace(rule, version=found.version if found else 0):
        return rule
    entry = Entry(found.id, found.version + 1) if found else Entry(edit.drivers.ids.new(), 1)
    stored = spec_of(rule)
    params = {
        "organization_id": edit.organization_id,
        "id": entry.id,
        "name": rule.id,
        "version": entry.version - 1,
        "version_id": edit.drivers.ids.new(),
        "spec": msgspec.json.encode(stored).decode(),
        "digest": spec_digest(stored),
        "created_by": edit.actor.person_id,
    }
    if not run_sql("update_policy" if found else "insert_policy", params):
        raise Conflict(f"policy `{rule.id}` was changed meanwhile: try again")
    edit.registry.entries["policy", rule.id] = entry
    saved = rule_from(stored, entry.version)
    if not waits:
        _activate(edit, saved, entry)
    else:
        edit.record(
            RecordKind.REGISTRY_CHANGED,
            "policy.drafted",
            subject=f"policy:{rule.id}",
            version=entry.version,
            digest=spec_digest(stored),
        )
    return saved


def publish_policy(edit: Edit, key: str, *, version: int | None = None) -> Rule:
    """Put a version of a policy in force and return its rule; an earlier one takes the policy back to it.

    Raises NotFound, Conflict where that version is in force already, VersionRequired where none is named and one waits,
    InvalidCondition where it no longer compiles.
    """
    edit.require(Permission.POLICY_PUBLISH)
    name, entry = edit.registry.get("policy", key)
    chosen = entry.version if version is None else version
    if entry.retired:
        raise Conflict(f"policy `{name}` is retired: save it anew")
    if edit.registry.active_versions.get(name) == chosen:
        raise Conflict(f"version {chosen} of policy `{name}` is in force already")
    if version is None:
        raise version_required(f"policy `{name}`", chosen)
    rows = run_sql("load_policy_version", {"organization_id": edit.organization_id, "id": entry.id, "version": chosen})
    if not rows:
        raise NotFound(f"policy `{name}` has no version {chosen}")
    rule = rule_from(rows[0]["spec"], chosen)
    check_rules(edit, [rule], alone=True)
    _activate(edit, rule, Entry(entry.id, chosen))
    return rule


def retire_policy(edit: Edit, key: str) -> None:
    """Take a policy out of force for good; raise NotFound, or Conflict where it is retired."""
    edit.require(Permission.POLICY_PUBLISH)
    name, entry = edit.registry.get("policy", key)
    params = {"organization_id": edit.organization_id, "id": entry.id}
    if not run_sql("retire_policy", params):
        raise Conflict(f"policy `{name}` is retired already")
    run_sql("retire_active_policy", params)
    edit.registry.entries["policy", name] = Entry(entry.id, entry.version, retired=True)
    edit.record(RecordKind.REGISTRY_CHANGED, "policy.retired", subject=f"policy:{name}", version=entry.version)


def check_rules(edit: Edit, rules: Sequence[Rule], *, tools: Iterable[Tool] | None = None, alone: bool = False) -> None:
    """Compile `rules` with all others in force, against the tools in force or those given; raise InvalidCondition.

    An error points at `/policies/<id>/<field>`; with `alone`, those of the first rule point at `/<field>`.
    """
    changed = {rule.id for rule in rules}
    others = [rule for rule in edit.registry.manifest.policies if rule.id not in changed]
    every = [*rules, *others]
    try:
        compile_policies(every, tools=tools or edit.registry.tools(), agents=edit.registry.agents())
    except InvalidCondition as error:
        found = [FieldError(_place(each.pointer, every, alone=alone), each.detail) for each in error.errors]
        first, more = found[0], f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise InvalidCondition(f"`{first.pointer}`: {first.detail}{more}", errors=found) from error


def check_rules_with_tools(edit: Edit, *changed: Any) -> None:
    """Raise InvalidCondition where a rule in force would not compile with these tools in place of their old versions."""
    names = {spec.name for spec in changed}
    kept = [tool for tool in edit.registry.tools() if tool.name not in names]
    fresh = [tool_of(spec, edit.registry.entries["tool", spec.name]) for spec in changed]
    check_rules(edit, [], tools=[*kept, *fresh])


def list_policies(actor: Actor, query: PageQuery) -> Page[PolicyDetail]:
    """Return a page of policies."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_policies(actor.organization_id, query)


def show_policy(actor: Actor, key: str) -> PolicyDetail:
    """Return one policy by name or id; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_policy(actor.organization_id, key)


def find_policy(organization_id: UUID, key: str) -> PolicyDetail:
    """Return one policy by name or id, in the open transaction; raise NotFound."""
    return find_one(find_policies, organization_id, key, what="policy")


def find_policies(organization_id: UUID, query: PageQuery) -> Page[PolicyDetail]:
    """Return a page of policies, in the open transaction."""
    filters = {"state": None, "outcome": None, "retired": None, **query.filters}
    return list_page("list_policies", organization_id, query, read=_detail, **filters)


def list_policy_versions(actor: Actor, key: str, query: PageQuery) -> Page[PolicyVersion]:
    """Return a page of a policy's versions, newest first; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        policy = find_policy(actor.organization_id, key)
        return list_versions(
            "list_policy_versions",
            actor.organization_id,
            query,
            read=lambda row: PolicyVersion(
                rule_from(row["spec"], row["version"]),
                row["state"],
                row["digest"],
                row["created_by"],
                row["created_at"],
                row["activated_at"],
            ),
            policy_id=policy.id,
        )


def explain_action(actor: Actor, agent: str, action: str) -> Explained:
    """Return the rules, policies and permissions alike, that this agent's action would meet; raise NotFound.

    Conditions are not evaluated: they need an act. Nothing is performed and nothing is recorded.
    """
    kind, colon, name = action.partition(":")
    if not colon or not name or kind not in ActKind.__members__.values():
        raise InvalidRequest(
            f"`{action[:80]}` is no action: write KIND:NAME, where KIND is one of {', '.join(sorted(ActKind))}",
            errors=[FieldError("/action", "must read like `tool:payments.create`")],
        )
    with reading(actor, Permission.REGISTRY_READ):
        registry = read_registry(actor.organization_id)
    known, _ = registry.get("agent", agent)
    found = next((each for each in registry.agents() if each.name == known), None)
    if found is None:
        raise Conflict(f"agent `{known}` is not in force: it meets no rules")
    tool = next((each for each in registry.tools() if kind == ActKind.TOOL and each.name == name), None)
    rules = [rule for rule in registry.manifest.policies if meets_agent(rule, found)]
    rules += permission_rules(found)
    met = [rule for rule in rules if meets_action(rule, ActKind(kind), name=name, tool=tool)]
    severity = (Outcome.DENY, Outcome.ESCALATE, Outcome.ALLOW)
    met.sort(key=lambda rule: (severity.index(rule.outcome), rule.source, rule.id))
    return Explained(found.name, action, tuple(met))


def _activate(edit: Edit, rule: Rule, entry: Entry) -> None:
    params = {"organization_id": edit.organization_id, "id": entry.id, "version": entry.version}
    run_sql("retire_active_policy", params)
    run_sql("activate_policy", params)
    edit.record(
        RecordKind.POLICY_PUBLISHED,
        "policy.published",
        subject=f"policy:{rule.id}",
        version=entry.version,
        digest=spec_digest(spec_of(rule)),
    )


def _place(place: str, every: Sequence[Rule], *, alone: bool) -> str:
    """Return a pointer of the compiler as one into the policy that was sent, or one that names the other policy."""
    _, _, rest = place.partition("/policies/")
    index, _, field = rest.partition("/")
    if not index.isdigit():
        return place
    if alone and index == "0":
        return f"/{field}"
    return f"/policies/{every[int(index)].id}/{field}"


def _detail(row: Mapping[str, Any]) -> PolicyDetail:
    return PolicyDetail(
        row["id"],
        rule_from(row["spec"], row["version"]),
        row["state"],
        row["active_version"],
        row["created_at"],
        row["updated_at"],
        row["retired_at"],
    )
