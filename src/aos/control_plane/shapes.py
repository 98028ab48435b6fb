"""The JSON Schemas of what is sent and answered: bodies are checked by them, and the OpenAPI document shows them.

A registered thing is sent as a manifest writes it, so its schema is the manifest's own; money may be an object as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from aos.kernel.agents import AgentStatus
from aos.kernel.errors import error_table
from aos.kernel.limits import NAME_LENGTH_MAX
from aos.kernel.manifest.diff import Mark
from aos.kernel.manifest.models import PER_MILLION
from aos.kernel.manifest.outside_tools import OPENAPI
from aos.kernel.manifest.schema import manifest_schema
from aos.kernel.people import Permission, Role
from aos.kernel.policy.values import Outcome, RuleSource
from aos.kernel.tools import ToolTransport
from aos.operations.people import TOKEN_DAYS_MAX
from aos.operations.presence import Presence

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
LABEL: Final[Schema] = {"type": "string", "maxLength": NAME_LENGTH_MAX}
UUID: Final[Schema] = {"type": "string", "format": "uuid"}
INSTANT: Final[Schema] = {"type": "string", "format": "date-time", "description": "RFC 3339, UTC"}
NUMBER: Final[Schema] = {"type": "integer", "minimum": 0}
FLAG: Final[Schema] = {"type": "boolean"}
ANY_OBJECT: Final[Schema] = {"type": "object", "additionalProperties": True}
ROLES: Final[Schema] = {"type": "array", "items": {"enum": [role.value for role in Role]}, "uniqueItems": True}


def ref(name: str) -> Schema:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def maybe(schema: Schema) -> Schema:
    """Return a schema that also takes null."""
    return {"anyOf": [schema, {"type": "null"}]}


def closed(properties: Mapping[str, Schema], *, optional: tuple[str, ...] = (), description: str = "") -> Schema:
    """Return the schema of an object with exactly these fields, all required but the optional ones."""
    found: Schema = {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
    return {**found, "description": description} if description else found


def page_of(name: str) -> Schema:
    """Return the schema of a page of a list."""
    return closed(
        {"items": list_of(ref(name)), "next": maybe(TEXT)}, description="A page; `next` is the cursor after it"
    )


def _manifest() -> Schema:
    found: Any = manifest_schema()
    return deepcopy(found)


def _pointed(schema: Any) -> Any:
    """Return a part of the manifest's schema with references to this document's components."""
    if isinstance(schema, dict):
        named = {key: _pointed(value) for key, value in schema.items() if key not in ("$id", "$schema", "$defs")}
        if isinstance(schema.get("$ref"), str):
            named["$ref"] = schema["$ref"].replace("#/$defs/", "#/components/schemas/manifest_")
        return named
    return [_pointed(member) for member in schema] if isinstance(schema, list) else schema


def part_of(kind: str) -> Schema:
    """Return the schema of one part of the manifest, money as text or object."""
    members = _manifest()["properties"][kind]
    part: Schema = _pointed(members.get("additionalProperties") or members["items"])
    for place in (("price", "per_call"), ("price", "per_second"), ("limit",), ("budget", "limit")):
        inner = part["properties"]
        for step in place[:-1]:
            inner = inner.get(step, {}).get("properties", {})
        if place[-1] in inner:
            inner[place[-1]] = {"anyOf": [ref("Money"), inner[place[-1]]]}
    if kind == "models":
        _take_money_objects(part["properties"]["price"])
    part["properties"].pop("id", None)
    part["required"] = [name for name in part.get("required", []) if name != "id"]
    return part


def _take_money_objects(price: Schema) -> None:
    """Let the figures of a model's price be objects as well as texts, in one price and in a list of them."""
    _, one, many = price["anyOf"]
    for each in (one, many["items"]):
        for name in PER_MILLION:
            each["properties"][name] = {"anyOf": [ref("Money"), each["properties"][name]]}


def new_of(kind: str, **more: Schema) -> Schema:
    """Return the schema of what makes a thing: a part with its name."""
    part = part_of(kind)
    part["properties"] = {"name": TEXT, **part["properties"], **more}
    part["required"] = ["name", *part["required"]]
    return part


def patch_of(kind: str) -> Schema:
    """Return the schema of a merge patch: nothing is required, null removes."""
    part = part_of(kind)
    part.pop("oneOf", None)
    optional = {name: maybe(schema) for name, schema in part["properties"].items()}
    return {**part, "properties": optional, "required": [], "description": "A JSON merge patch (RFC 7396)"}


def _shown(kind: str, *, optional: tuple[str, ...] = (), **columns: Schema) -> Schema:
    """Return the schema of how a thing is shown: its columns and what its version says."""
    fields = {name: schema for name, schema in part_of(kind)["properties"].items() if name not in ("budget", OPENAPI)}
    for name in ("price", "runtime", "department", "when", "approvers", "queue", "concurrency"):
        if name in fields:
            fields[name] = maybe(fields[name])
    if "price" in fields:
        inner = next(iter(part_of(kind)["properties"]["price"]["properties"]))
        fields["price"] = maybe(closed({inner: ref("Money")}))
    if "limit" in fields:
        fields["limit"] = ref("Money")
    optional += tuple(name for name in fields if name in (*ToolTransport, "owner", "queue", "compensate"))
    return closed({**columns, **fields}, optional=optional)


VERSION: Final[Schema] = {"version": NUMBER, "digest": TEXT, "created_by": maybe(UUID), "created_at": INSTANT}
_JWK: Final[Schema] = closed(
    {"kty": {"const": "OKP"}, "crv": {"const": "Ed25519"}, "x": TEXT}, description="An Ed25519 key as JWK (RFC 8037)"
)
MADE: Final[Schema] = {"created_at": INSTANT, "updated_at": INSTANT, "retired_at": maybe(INSTANT)}
_AGENT_COLUMNS: Final[Schema] = {
    "id": UUID,
    "name": TEXT,
    "status": {"enum": [status.value for status in AgentStatus]},
    "version": NUMBER,
    "draft_version": maybe(NUMBER),
    "identity": closed({"id": TEXT, "keys": list_of(ref("IdentityKey"))}),
    "coverage": {**maybe(ref("Coverage")), "description": "Of a graph: how much of what it does passes the gate"},
    "presence": {
        **maybe({"enum": [each.value for each in Presence]}),
        "description": "Of an agent that fetches its own tasks: whether it did a moment ago",
    },
    **dict.fromkeys(("first_seen_at", "last_seen_at"), maybe(INSTANT)),
    **MADE,
}
_WIRE_WORKFLOW: Final[Schema] = {"description": TEXT, "input": {}, "output": {}, "tasks": ANY_OBJECT}

PROOF_TEXT: Final = (
    "base64url of the key's detached Ed25519 signature of the UTF-8 text "
    "`aos-agent-registration:<organization id>:<agent name>:<JWK thumbprint of the key, RFC 7638>`"
)

KEY_NEW: Final[Schema] = {
    **closed(
        {"public_key": _JWK, "proof": {**TEXT, "description": PROOF_TEXT}},
        optional=("public_key", "proof"),
        description="A public key with its proof, or nothing: AOS then makes the pair and shows the private half once",
    )
}
API_KEY_NEW: Final[Schema] = closed(
    {"label": LABEL, "expires_days": {"type": "integer", "minimum": 1, "maximum": 3650}},
    optional=("label", "expires_days"),
)
DEPARTMENT_NEW: Final[Schema] = closed({"name": LABEL, "cost_center": LABEL}, optional=("cost_center",))
ROLE_GIVEN: Final[Schema] = closed({"role": {"enum": [role.value for role in Role]}})
PERSON_PATCH: Final[Schema] = closed({"roles": ROLES})
TOKEN_NEW: Final[Schema] = closed(
    {"label": LABEL, "expires_days": {"type": "integer", "minimum": 1, "maximum": TOKEN_DAYS_MAX}},
    optional=("label", "expires_days"),
)
LINK: Final[Schema] = closed({"link": TEXT, "label": LABEL}, optional=("label",))
SECRET_NEW: Final[Schema] = closed({"name": TEXT, "value": {"type": "string", "minLength": 1}})
SECRET_VALUE: Final[Schema] = closed({"value": {"type": "string", "minLength": 1}})
_PUBLISHED: Final[Schema] = {"version": {"type": "integer", "minimum": 1}}
PUBLISH: Final[Schema] = closed(_PUBLISHED, optional=("version",))
"""What is read: a number that is missing has an error of its own, which says what waits."""
ORGANIZATION_NEW: Final[Schema] = closed(
    {"name": LABEL, "currency": TEXT, "timezone": TEXT, "environment": LABEL, "run_clock": FLAG},
    optional=("currency", "timezone", "environment", "run_clock"),
)
MANIFEST_APPLY: Final[Schema] = closed(
    {"manifest": {"type": "object"}, "dry_run": FLAG, "prune": FLAG}, optional=("dry_run", "prune")
)


def components() -> dict[str, Schema]:
    """Return every named schema of the OpenAPI document."""
    manifest = _manifest()
    return {
        **{f"manifest_{name}": _pointed(schema) for name, schema in manifest["$defs"].items()},
        "Manifest": _pointed(manifest),
        "ManifestApply": {
            **MANIFEST_APPLY,
            "properties": {**MANIFEST_APPLY["properties"], "manifest": ref("Manifest")},
        },
        **_registry_components(),
        **_people_components(),
        **_key_components(),
        **_other_components(),
    }


def _registry_components() -> dict[str, Schema]:
    transports = {"enum": [each.value for each in ToolTransport]}
    numbers: Schema = {"version": NUMBER, "draft_version": maybe(NUMBER)}
    held = {**maybe(closed({"why": TEXT, "since": INSTANT})), "description": "Why its calls are held, where they are"}
    tool = _shown("tools", id=UUID, name=TEXT, transport=transports, held=held, **numbers, **MADE)
    policy_columns: Schema = {"id": UUID, "name": TEXT, "version": NUMBER, "state": TEXT}
    return {
        "AgentNew": new_of("agents", public_key=_JWK, proof={**TEXT, "description": PROOF_TEXT}),
        "AgentPatch": patch_of("agents"),
        "Agent": _shown("agents", **_AGENT_COLUMNS),
        "Coverage": closed(
            {
                "told": TEXT,
                "passes": NUMBER,
                **dict.fromkeys(
                    ("models", "models_governed", "tools", "tools_governed", "framework_own"), list_of(TEXT)
                ),
            }
        ),
        "IdentityKey": closed({"id": UUID, "thumbprint": TEXT, "public_key": _JWK, "proved_at": INSTANT}),
        "AgentRegistered": _shown(
            "agents",
            optional=("private_key", "note"),
            **_AGENT_COLUMNS,
            private_key={
                **maybe(ANY_OBJECT),
                "description": "The private half as JWK, shown once where AOS made the pair",
            },
            note=TEXT,
        ),
        "AgentVersion": _shown("agents", **VERSION),
        "ToolNew": new_of("tools"),
        "ToolPatch": patch_of("tools"),
        "Tool": tool,
        "ToolVersion": _shown("tools", **VERSION),
        "PolicyNew": new_of("policies"),
        "PolicyPatch": patch_of("policies"),
        "Policy": _shown("policies", **policy_columns, active_version=maybe(NUMBER), **MADE),
        "PolicyVersion": _shown("policies", state=TEXT, activated_at=maybe(INSTANT), **VERSION),
        "Publish": closed(_PUBLISHED),
        "MetRule": _shown("policies", id=TEXT, version=NUMBER, source={"enum": [each.value for each in RuleSource]}),
        "Explained": closed(
            {"agent": TEXT, "action": TEXT, "rules": list_of(ref("MetRule")), "default": {"enum": [Outcome.DENY.value]}}
        ),
        "BudgetNew": new_of("budgets"),
        "BudgetPatch": patch_of("budgets"),
        "Budget": _shown(
            "budgets",
            id=UUID,
            name=TEXT,
            revision=NUMBER,
            settled=ref("Money"),
            held=ref("Money"),
            left=ref("Money"),
            created_at=INSTANT,
            retired_at=maybe(INSTANT),
        ),
        "WorkflowNew": new_of("workflows"),
        "WorkflowPatch": patch_of("workflows"),
        "Workflow": closed({"id": UUID, "name": TEXT, **numbers, **_WIRE_WORKFLOW, **MADE}),
        "WorkflowVersion": closed({**_WIRE_WORKFLOW, **VERSION}),
        **_shared_components(),
    }


def _shared_components() -> dict[str, Schema]:
    """Return the schemas of what agents share: departments and queues."""
    return {
        "QueueNew": new_of("queues"),
        "QueuePatch": patch_of("queues"),
        "Queue": closed(
            {
                "id": UUID,
                "name": TEXT,
                "concurrency": NUMBER,
                "under_way": NUMBER,
                "created_at": INSTANT,
                "updated_at": INSTANT,
            }
        ),
        "DepartmentNew": DEPARTMENT_NEW,
        "DepartmentPatch": closed({"cost_center": LABEL}, optional=("cost_center",)),
        "Department": closed({"id": UUID, "name": TEXT, "cost_center": TEXT, "created_at": INSTANT}),
    }


_API_KEY: Final[Schema] = {
    "id": UUID,
    "label": TEXT,
    "prefix": TEXT,
    "created_at": INSTANT,
    "expires_at": maybe(INSTANT),
    "revoked_at": maybe(INSTANT),
}


def _people_components() -> dict[str, Schema]:
    roles = {**ROLES, "uniqueItems": False}
    person = {"id": UUID, "email": TEXT, "name": TEXT, "roles": roles, "created_at": INSTANT}
    token = {"id": UUID, "label": TEXT, "created_at": INSTANT, "expires_at": INSTANT, "revoked_at": maybe(INSTANT)}
    organization = {
        "id": UUID,
        "name": TEXT,
        "currency": TEXT,
        "timezone": TEXT,
        "environment": TEXT,
        "run_clock": FLAG,
        "roles": roles,
    }
    return {
        "PersonNew": _pointed(_manifest()["properties"]["people"]["items"]),
        "PersonPatch": PERSON_PATCH,
        "Person": closed(person),
        "PersonInvited": closed({**person, "link": maybe(TEXT), "note": TEXT}, optional=("note",)),
        "Role": closed({"name": TEXT, "permissions": list_of({"enum": [each.value for each in Permission]})}),
        "RoleGiven": ROLE_GIVEN,
        "Link": LINK,
        "TokenNew": TOKEN_NEW,
        "Token": closed(token),
        "TokenMade": closed({**token, "token": maybe(TEXT), "note": TEXT}, optional=("note",)),
        "OrganizationNew": ORGANIZATION_NEW,
        "Organization": closed(organization),
        "WhoAmI": closed(
            {
                "id": UUID,
                "email": TEXT,
                "name": TEXT,
                "organization": closed({"id": UUID, "name": TEXT}),
                "roles": roles,
                "permissions": list_of(TEXT),
                "organizations": list_of(closed({"id": UUID, "name": TEXT, "roles": roles})),
            }
        ),
    }


def _key_components() -> dict[str, Schema]:
    return {
        "AgentKey": closed(
            {
                "id": UUID,
                "thumbprint": TEXT,
                "public_key": _JWK,
                "proved_at": INSTANT,
                "created_at": INSTANT,
                "revoked_at": maybe(INSTANT),
            }
        ),
        "AgentKeyAdded": closed(
            {"id": UUID, "thumbprint": TEXT, "public_key": _JWK, "private_key": maybe(ANY_OBJECT), "note": TEXT},
            optional=("note",),
        ),
        "KeyNew": KEY_NEW,
        "ApiKeyNew": API_KEY_NEW,
        "ApiKey": closed(_API_KEY),
        "ApiKeyMade": closed({**_API_KEY, "api_key": maybe(TEXT), "note": TEXT}, optional=("note",)),
        "SigningKey": closed(
            {
                "id": UUID,
                "purpose": {"enum": ["access", "checkpoint", "token"]},
                "state": {"enum": ["next", "current", "retired"]},
                "public_key": {**maybe(_JWK), "description": "Null where only AOS checks what is signed"},
                "created_at": INSTANT,
                "retired_at": maybe(INSTANT),
            }
        ),
        "SigningKeyRotated": closed({"id": UUID, "purpose": TEXT, "state": TEXT}),
    }


def _other_components() -> dict[str, Schema]:
    return {
        "Money": closed(
            {"amount": {**TEXT, "examples": ["12.30"]}, "currency": {**TEXT, "examples": ["EUR"]}},
            description="A decimal number with at most nine places, and a currency (ISO 4217)",
        ),
        "Problem": {
            **closed(
                {
                    "type": {"enum": sorted(f"urn:aos:problem:{each.slug}" for each in error_table())},
                    "title": TEXT,
                    "status": NUMBER,
                    "detail": TEXT,
                    "instance": TEXT,
                    "trace_id": TEXT,
                    "errors": list_of(closed({"pointer": TEXT, "detail": TEXT})),
                    "reasons": list_of(TEXT),
                    "approval_id": UUID,
                    "retry_after_seconds": {"type": "number"},
                },
                optional=("errors", "reasons", "approval_id", "retry_after_seconds"),
                description="An error (RFC 9457)",
            ),
            "additionalProperties": True,
        },
        "Secret": closed({"id": UUID, "name": TEXT, "version": NUMBER, "created_at": INSTANT, "updated_at": INSTANT}),
        "SecretSet": closed({"name": TEXT, "version": NUMBER}),
        "SecretNew": SECRET_NEW,
        "SecretValue": SECRET_VALUE,
        "Applied": closed(
            {
                "changes": list_of(
                    closed(
                        {
                            "mark": {"enum": [mark.value for mark in Mark]},
                            "kind": TEXT,
                            "name": TEXT,
                            "detail": TEXT,
                            "waits": FLAG,
                        }
                    )
                ),
                "waits": list_of(TEXT),
                "waits_for": list_of(TEXT),
                "warnings": list_of(TEXT),
            }
        ),
        "Checkpoint": closed({"size": NUMBER, "note": TEXT, "key": TEXT, "signed_at": INSTANT}),
        "LogRecord": closed({"index": NUMBER, "hash": TEXT, "record": maybe(ANY_OBJECT)}),
        "Proof": closed(
            {
                "format": {"const": "aos-proof/1"},
                "record": TEXT,
                "leaf_index": NUMBER,
                "tree_size": NUMBER,
                "path": list_of(TEXT),
                "checkpoint": TEXT,
                "key": TEXT,
            }
        ),
        "Consistency": closed(
            {"old_size": NUMBER, "new_size": NUMBER, "path": list_of(TEXT), "checkpoint": TEXT, "key": TEXT}
        ),
        "Health": closed({"status": {"const": "ok"}, "version": TEXT}),
    }
