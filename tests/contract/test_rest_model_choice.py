"""Model calls by REST: why a model answered, made again for those who may read content, and what was used."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from aos.kernel.acts import Refused
from aos.kernel.dialects.read import read_ask
from aos.kernel.dialects.values import Dialect
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.operations.model_acts import ModelCall
from aos.operations.model_calls import ModelCalls, Whole
from tests.planes import Plane
from tests.run_worlds import Company, make_company
from tests.scripted_models import URL, Answer, ScriptedModels, chat, refusal

OWN: dict[str, Any] = {
    "provider": "openai-compatible",
    "base_url": URL,
    "context": 8000,
    "output": 1000,
    "price": {"input_per_million": "1 EUR", "output_per_million": "2 EUR"},
}


@pytest.fixture
def company(plane: Plane) -> Company:
    """A company with a light model, a strong one, and a purpose of both."""
    for name, strength in (("light", 1), ("strong", 5)):
        made = plane.post("/models", {"name": name, "strength": strength, **OWN})
        assert made.status_code == 201, made.text
    assert plane.post("/purposes", {"name": "quick", "models": ["light", "strong"]}).status_code == 201
    return make_company(plane)


def ask(
    company: Company,
    name: str,
    *,
    answers: Sequence[Answer] = (),
    roles: tuple[str, ...] = ("developer",),
    models: ScriptedModels | None = None,
    **more: Any,
) -> Any:
    """Ask a model as the world's person with these roles."""
    asked = {"model": name, "messages": [{"role": "user", "content": "hello"}], **(more or {"max_tokens": 10})}
    body, far = json.dumps(asked).encode(), models or ScriptedModels([*answers] or [chat("hi")])
    link = ChainLink(PrincipalKind.PERSON, company.world.person_id, "maria@larkspur.example")
    principal = Principal(company.world.organization_id, (link,), roles=roles)
    call = ModelCall(principal, read_ask(Dialect.CHAT, body), body, hashlib.sha256(body).hexdigest())

    async def go() -> Any:
        async with company.world.running(models=far) as aos:
            return await ModelCalls(aos.gate, aos.facts, aos.drivers).make(call)

    return asyncio.run(go())


def route(plane: Plane, action_id: UUID, status: int = 200, **more: Any) -> Any:
    response = plane.get(f"/actions/{action_id}/route", **more)
    assert response.status_code == status, response.text
    return response.json()


def test_a_choice_is_made_again_from_the_record_with_its_reasons(plane: Plane, company: Company) -> None:
    done = ask(company, "purpose:quick")
    assert isinstance(done, Whole)
    found = route(plane, done.action_id)
    assert (found["asked"], found["dialect"], found["state"]) == ("purpose:quick", "openai-chat", "performed")
    assert (found["model"], found["used"], found["agrees"]) == (done.model, [done.model], True)
    assert found["order"][0] == done.model
    assert sorted(found["order"]) == ["light", "strong"]
    assert [each["name"] for each in found["question"]["candidates"]] == ["light", "strong"]
    assert any(line.startswith(f"1. {done.model}, ") and "points" in line for line in found["reasons"])


def test_where_a_first_answer_did_not_pass_both_models_are_named(plane: Plane, company: Company) -> None:
    purpose = {"name": "checked", "models": ["light", "strong"], "cascade": ["json"]}
    assert plane.post("/purposes", purpose).status_code == 201
    done = ask(company, "purpose:checked", answers=[chat("no JSON"), chat('{"ok": true}')])
    found = route(plane, done.action_id)
    assert (found["model"], done.model, found["used"]) == ("light", "strong", ["light", "strong"])


def test_who_was_left_out_and_who_failed_are_named_with_their_reasons(plane: Plane, company: Company) -> None:
    assert plane.post("/models", {"name": "hidden", "strength": 5, **OWN}).status_code == 201
    never = {"name": "no-hidden", "actions": ["model:hidden"], "outcome": "deny", "reason": "not for this"}
    assert plane.post("/policies", never).status_code == 201
    assert plane.post("/purposes", {"name": "any", "models": ["hidden", "light", "strong"]}).status_code == 201
    done = ask(company, "purpose:any", answers=[refusal(500, "it broke"), chat("hi")])
    found = route(plane, done.action_id)
    first, second = found["order"]
    assert (found["model"], found["used"]) == (first, [second])
    assert "not hidden: policy denies it, by `no-hidden`" in found["reasons"]
    assert found["reasons"][-1] == f"asked without an answer: model `{first}` answered 500"


def test_a_choice_does_not_change_with_what_is_registered_later(plane: Plane, company: Company) -> None:
    action_id = ask(company, "purpose:quick").action_id
    before = route(plane, action_id)
    assert plane.patch("/models/light", {"strength": 5}).status_code == 200
    assert plane.patch("/purposes/quick", {"models": ["strong"]}).status_code == 200
    assert route(plane, action_id) == before


def test_where_one_model_was_named_nothing_was_chosen(plane: Plane, company: Company) -> None:
    found = route(plane, ask(company, "strong").action_id)
    assert (found["question"], found["order"], found["agrees"]) == (None, ["strong"], True)
    assert found["reasons"] == ["the request named the single model `strong`: there was nothing to choose"]


def test_a_choice_is_content(plane: Plane, company: Company) -> None:
    action_id = ask(company, "purpose:quick").action_id
    viewer, auditor = (plane.as_person(f"{role}@larkspur.example", role) for role in ("viewer", "auditor"))
    assert "content.read" in route(plane, action_id, 403, token=viewer)["detail"]
    assert route(plane, action_id, token=auditor)["agrees"] is True
    assert route(plane, company.world.person_id, 404)["title"] == "Not found"


def test_who_may_start_runs_may_try_a_model_and_nobody_else(company: Company) -> None:
    for role in ("admin", "developer", "operator"):
        assert isinstance(ask(company, "light", roles=(role,)), Whole)
    for role in ("viewer", "finance", "auditor", "approver"):
        assert isinstance(ask(company, "light", roles=(role,)), Refused)


def test_usage_counts_each_call_once_and_all_that_a_model_read(plane: Plane, company: Company) -> None:
    said = json.loads(chat("hi", tokens=(100, 7)).body)
    said["usage"]["prompt_tokens_details"] = {"cached_tokens": 60}
    for _ in range(2):
        ask(company, "light", answers=[Answer(200, json.dumps(said).encode())])
    totals = plane.get("/usage").json()["totals"]
    assert (totals["model_calls"], totals["input_tokens"], totals["output_tokens"]) == (2, 200, 14)
    assert totals["tool_calls"] == 0
    assert totals["events"] > totals["model_calls"]


def test_no_candidate_is_asked_for_more_than_it_writes_where_the_request_sets_no_limit(
    plane: Plane, company: Company
) -> None:
    assert plane.patch("/models/light", {"output": 100}).status_code == 200
    purpose = {"name": "checked", "models": ["light", "strong"], "cascade": ["json"]}
    assert plane.post("/purposes", purpose).status_code == 201
    models = ScriptedModels([chat("no JSON"), chat("{}")])
    assert isinstance(ask(company, "purpose:checked", models=models, temperature=0), Whole)
    limits = [body.get("max_tokens") or body.get("max_completion_tokens") for body in models.bodies]
    assert limits == [100, 1000]
