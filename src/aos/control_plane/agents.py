"""/agents: register, show, change, pause, resume, kill and decommission agents; their versions and keys."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request

from aos.control_plane import wire
from aos.control_plane.bodies import one_of, page_query, read_fields, read_text
from aos.control_plane.endpoint import Endpoint, json_response, page_response
from aos.control_plane.openapi import operation
from aos.control_plane.parts import new_part, patched_part, take_name
from aos.control_plane.shapes import API_KEY_NEW, KEY_NEW, PUBLISH
from aos.kernel.agents import AgentStatus, AgentType
from aos.kernel.errors import Conflict, FieldError
from aos.kernel.jwk import public_jwk
from aos.operations.agent_keys import (
    GivenKey,
    MadeKey,
    add_agent_key,
    create_api_key,
    list_agent_keys,
    list_api_keys,
    revoke_agent_key,
    revoke_api_key,
)
from aos.operations.agents import (
    change_agent,
    find_agent,
    list_agent_versions,
    list_agents,
    move_agent,
    publish_agent,
    register_agent,
    show_agent,
)
from aos.operations.budgets import change_budget, create_budget
from aos.operations.coverage import show_coverage
from aos.operations.documents import Fields, agent_document, refuse_fields
from aos.operations.idempotency import Reply
from aos.operations.registry_records import Edit

FILTERS: Final = {
    "name": read_text,
    "type": one_of(*(each.value for each in AgentType)),
    "status": one_of(*(each.value for each in AgentStatus)),
    "department": read_text,
    "owner": read_text,
}


class Agents(Endpoint):
    """The agents of the organization."""

    @operation("list_agents", "List agents", answer="Agent", page=True, filters=tuple(FILTERS))
    def get(self, request: Request) -> HttpResponse:
        actor = self.actor(request)
        page = list_agents(actor, page_query(request._request, FILTERS))
        return page_response(page, lambda each: wire.agent(each, actor.organization_id))

    @operation("register_agent", "Register an agent", answer="AgentRegistered", status=201, body="AgentNew")
    def post(self, request: Request) -> HttpResponse:
        body = read_fields(request._request)
        name, fields = take_name(body)
        offer = _offer(fields)
        return self.write(request, lambda edit: _register(edit, name, fields, offer=offer), body=body)


class Agent(Endpoint):
    """One agent, by name or id."""

    @operation("show_agent", "Show an agent", answer="Agent")
    def get(self, request: Request, key: str) -> HttpResponse:
        actor = self.actor(request)
        found = show_agent(actor, key)
        return json_response(wire.agent(found, actor.organization_id, show_coverage(actor, found.id)))

    @operation("change_agent", "Give an agent a new version", answer="Agent", body="AgentPatch")
    def patch(self, request: Request, key: str) -> HttpResponse:
        body = read_fields(request._request)
        return self.write(request, lambda edit: _change(edit, key, body), body=body)

    @operation("retire_agent", "Decommission an agent; its history and name stay", answer="Agent")
    def delete(self, request: Request, key: str) -> HttpResponse:
        return self.write(request, lambda edit: _move(edit, key, AgentStatus.RETIRED))


class Pause(Endpoint):
    """Pause an agent."""

    @operation("pause_agent", "Pause an agent: it may not act until it is resumed", answer="Agent")
    def post(self, request: Request, key: str) -> HttpResponse:
        return self.write(request, lambda edit: _move(edit, key, AgentStatus.PAUSED))


class Resume(Endpoint):
    """Resume an agent."""

    @operation("resume_agent", "Resume an agent that is paused, errored or quarantined", answer="Agent")
    def post(self, request: Request, key: str) -> HttpResponse:
        return self.write(request, lambda edit: _move(edit, key, AgentStatus.RUNNING))


class Kill(Endpoint):
    """Kill an agent."""

    @operation("kill_agent", "Quarantine an agent at once and take its tasks from it", answer="Agent")
    def post(self, request: Request, key: str) -> HttpResponse:
        return self.write(request, lambda edit: _move(edit, key, AgentStatus.QUARANTINED))


class Publish(Endpoint):
    """Accept a version of an agent that waits."""

    @operation(
        "publish_agent",
        "Put the version of an agent that waits, and is named, in force",
        answer="Agent",
        body="Publish",
    )
    def post(self, request: Request, key: str) -> HttpResponse:
        body: Any = read_fields(request._request, PUBLISH)

        def do(edit: Edit) -> Reply:
            publish_agent(edit, key, version=body.get("version"))
            return Reply(200, wire.agent(find_agent(edit.organization_id, key), edit.organization_id))

        return self.write(request, do, body=body)


class Versions(Endpoint):
    """An agent's versions."""

    @operation("list_agent_versions", "List an agent's versions", answer="AgentVersion", page=True)
    def get(self, request: Request, key: str) -> HttpResponse:
        query = page_query(request._request, {})
        return page_response(list_agent_versions(self.actor(request), key, query), wire.agent_version)


class Keys(Endpoint):
    """An agent's public keys."""

    @operation("list_agent_keys", "List an agent's public keys", answer="AgentKey", page=True)
    def get(self, request: Request, key: str) -> HttpResponse:
        actor, query = self.actor(request), page_query(request._request, {})
        return page_response(list_agent_keys(actor, show_agent(actor, key).id, query), wire.agent_key)

    @operation("add_agent_key", "Add a public key with its proof", answer="AgentKeyAdded", status=201, body="KeyNew")
    def post(self, request: Request, key: str) -> HttpResponse:
        body = read_fields(request._request, KEY_NEW)
        offer = _offer(dict(body))
        return self.write(request, lambda edit: _add_key(edit, key, offer), body=body)


class Key(Endpoint):
    """One public key of an agent."""

    @operation("revoke_agent_key", "Revoke an agent's public key for good", answer={"type": "object"})
    def delete(self, request: Request, key: str, key_id: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            revoke_agent_key(edit, key, key_id)
            return Reply(200, {})

        return self.write(request, do)


class ApiKeys(Endpoint):
    """An agent's API keys."""

    @operation("list_api_keys", "List an agent's API keys, without the keys", answer="ApiKey", page=True)
    def get(self, request: Request, key: str) -> HttpResponse:
        actor, query = self.actor(request), page_query(request._request, {})
        return page_response(list_api_keys(actor, show_agent(actor, key).id, query), wire.api_key)

    @operation("create_api_key", "Make an API key, shown once", answer="ApiKeyMade", status=201, body="ApiKeyNew")
    def post(self, request: Request, key: str) -> HttpResponse:
        body: Any = read_fields(request._request, API_KEY_NEW)

        def do(edit: Edit) -> Reply:
            made, text = create_api_key(edit, key, label=body.get("label", ""), expires_days=body.get("expires_days"))
            shown = {**wire.api_key(made), "api_key": text}
            return Reply(201, shown, f"/agents/{key}/api-keys/{made.id}", once=("api_key",))

        return self.write(request, do, body=body)


class ApiKey(Endpoint):
    """One API key of an agent."""

    @operation("revoke_api_key", "Revoke an API key for good", answer={"type": "object"})
    def delete(self, request: Request, key: str, key_id: str) -> HttpResponse:
        def do(edit: Edit) -> Reply:
            revoke_api_key(edit, key, key_id)
            return Reply(200, {})

        return self.write(request, do)


def _offer(fields: Fields) -> GivenKey | MadeKey:
    """Take the key out of a body: one that is given with its proof, or the wish that AOS makes one."""
    jwk, proof = fields.pop("public_key", None), fields.pop("proof", None)
    if jwk is None and proof is None:
        return MadeKey()
    if jwk is None or not isinstance(proof, str):
        missing = "/public_key" if jwk is None else "/proof"
        raise refuse_fields([FieldError(missing, "must be given: a public key comes with its proof")])
    return GivenKey(jwk, proof)


def _register(edit: Edit, name: str, fields: Fields, *, offer: GivenKey | MadeKey) -> Reply:
    manifest = new_part(edit, "agents", name, fields=fields)
    registered = register_agent(edit, manifest.agents[0], key=offer)
    for budget in manifest.budgets:
        create_budget(edit, budget)
    body = wire.agent(find_agent(edit.organization_id, name), edit.organization_id)
    private = wire.private_jwk(registered.key)
    if private is None:
        return Reply(201, body, f"/agents/{name}")
    return Reply(201, {**body, "private_key": private}, f"/agents/{name}", once=("private_key",))


def _change(edit: Edit, key: str, patch: Fields) -> Reply:
    detail = find_agent(edit.organization_id, key)
    if detail.status is AgentStatus.RETIRED:
        raise Conflict(f"agent `{detail.spec.name}` is retired: register another under a new name")
    document = agent_document(detail.spec)
    manifest = patched_part(edit, "agents", detail.spec.name, document=document, patch=patch)
    change_agent(edit, manifest.agents[0])
    for budget in manifest.budgets:
        (change_budget if edit.registry.find("budget", budget.id) else create_budget)(edit, budget)
    return Reply(200, wire.agent(find_agent(edit.organization_id, detail.spec.name), edit.organization_id))


def _move(edit: Edit, key: str, to: AgentStatus) -> Reply:
    move_agent(edit, key, to)
    return Reply(200, wire.agent(find_agent(edit.organization_id, key), edit.organization_id))


def _add_key(edit: Edit, agent: str, offer: GivenKey | MadeKey) -> Reply:
    key = add_agent_key(edit, agent, offer=offer)
    body: wire.Shown = {"id": key.id, "thumbprint": key.thumbprint, "public_key": public_jwk(key.public)}
    private = wire.private_jwk(key)
    once = ("private_key",) if private else ()
    return Reply(201, {**body, "private_key": private}, f"/agents/{agent}/keys/{key.id}", once=once)


urlpatterns = [
    path("agents", Agents.as_view()),
    path("agents/<str:key>", Agent.as_view()),
    path("agents/<str:key>/pause", Pause.as_view()),
    path("agents/<str:key>/resume", Resume.as_view()),
    path("agents/<str:key>/kill", Kill.as_view()),
    path("agents/<str:key>/publish", Publish.as_view()),
    path("agents/<str:key>/versions", Versions.as_view()),
    path("agents/<str:key>/keys", Keys.as_view()),
    path("agents/<str:key>/keys/<str:key_id>", Key.as_view()),
    path("agents/<str:key>/api-keys", ApiKeys.as_view()),
    path("agents/<str:key>/api-keys/<str:key_id>", ApiKey.as_view()),
]
