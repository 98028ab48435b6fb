"""/policies: rules in versions, published or drafted, and which of them an action would meet."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import wire
from aos.control_plane.bodies import one_of, page_query, read_fields, read_flag, read_query, read_text
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.parts import new_part, patched_part, take_name
from aos.control_plane.shapes import PUBLISH
from aos.kernel.policy.values import Outcome
from aos.operations.documents import policy_document
from aos.operations.idempotency import Reply
from aos.operations.pages import refuse
from aos.operations.policies import (
    explain_action,
    find_policy,
    list_policies,
    list_policy_versions,
    publish_policy,
    retire_policy,
    save_policy,
    show_policy,
)
from aos.operations.registry_records import Edit

FILTERS: Final = {
    "name": read_text,
    "state": one_of("draft", "active", "retired"),
    "outcome": one_of(*(each.value for each in Outcome)),
    "retired": read_flag,
}


class Policies(Endpoint):
    """The policies of the organization."""

    @operation("list_policies", "List policies", answer="Policy", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        return page_response(list_policies(self.actor(request), page_query(request._request, FILTERS)), wire.policy)

    @operation(
        "create_policy",
        "Write a policy: in force at once for who may publish, else a draft",
        answer="Policy",
        status=201,
        body="PolicyNew",
    )
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request)
        name, fields = take_name(body)

        def do(edit: Edit) -> Reply:
            save_policy(edit, new_part(edit, "policies", name, fields=fields).policies[0], new=True)
            return Reply(201, wire.policy(find_policy(edit.organization_id, name)), f"/policies/{name}")

        return self.write(request, do, body=body)


class Policy(Endpoint):
    """One policy, by name or id."""

    @operation("show_policy", "Show a policy at its newest version", answer="Policy")
    def get(self, request: Request, key: str) -> HttpResponse:
        return json_response(wire.policy(show_policy(self.actor(request), key)))

    @operation("change_policy", "Give a policy a new version", answer="Policy", body="PolicyPatch")
    def patch(self, request: Request, key: str) -> HttpResponse:
        body = read_fields(request._request)

        def do(edit: Edit) -> Reply:
            rule = find_policy(edit.organization_id, key).rule
            document = policy_document(rule)
            if body.get("outcome", rule.outcome) != Outcome.ESCALATE:
                document.pop("approvers", None)
            part = patched_part(edit, "policies", rule.id, document=document, patch=body)
            save_policy(edit, part.policies[0], new=False)
            return Reply(200, wire.policy(find_policy(edit.organization_id, rule.id)))

        return self.write(request, do, body=body)

    @operation("retire_policy", "Take a policy out of force for good", answer="Policy")
    def delete(self, request: Request, key: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            retire_policy(edit, key)
            return Reply(200, wire.policy(find_policy(edit.organization_id, key)))

        return self.write(request, do)


class Publish(Endpoint):
    """Put a version of a policy in force."""

    @operation("publish_policy", "Put the version that is named in force", answer="Policy", body="Publish")
    def post(self, request: Request, key: str) -> HttpResponse:
        body: Any = read_fields(request._request, PUBLISH)

        def do(edit: Edit) -> Reply:
            publish_policy(edit, key, version=body.get("version"))
            return Reply(200, wire.policy(find_policy(edit.organization_id, key)))

        return self.write(request, do, body=body)


class Versions(Endpoint):
    """A policy's versions."""

    @operation("list_policy_versions", "List a policy's versions", answer="PolicyVersion", page=True)
    def get(self, request: Request, key: str) -> HttpResponse:
        query = page_query(request._request, {})
        return page_response(list_policy_versions(self.actor(request), key, query), wire.policy_version)


class Explain(Endpoint):
    """Which rules an action meets."""

    @operation(
        "show_explanation",
        "Show the rules, permissions included, that an agent's action would meet",
        answer="Explained",
        filters=("agent", "action"),
    )
    def get(self, request: Request) -> HttpResponse:
        given = read_query(request._request, {"agent": read_text, "action": read_text})
        for name in ("agent", "action"):
            if name not in given:
                raise refuse(name, "is missing: ask with `?agent=NAME&action=tool:NAME`")
        found = explain_action(self.actor(request), given["agent"], given["action"])
        rules = [wire.met_rule(rule) for rule in found.rules]
        return json_response({"agent": found.agent, "action": found.action, "rules": rules, "default": "deny"})


urlpatterns = [
    path("policies", Policies.as_view()),
    path("policies/explain", Explain.as_view()),
    path("policies/<str:key>", Policy.as_view()),
    path("policies/<str:key>/publish", Publish.as_view()),
    path("policies/<str:key>/versions", Versions.as_view()),
]
