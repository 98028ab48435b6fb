"""The OpenAPI document: valid, complete, without a warning, and true of what is answered."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from aos.control_plane.openapi import openapi_document
from aos.control_plane.urls import urlpatterns
from tests.contract.test_rest_registry import MANIFEST
from tests.planes import ADMIN, Plane

FIGURES = [{"input_per_million": {"amount": "0.10", "currency": "EUR"}, "since": "2026-01-01"}]
VERBS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_document()


def test_the_document_is_valid_openapi_and_made_without_a_warning(document: dict[str, Any]) -> None:
    validate_schema(document)
    assert not GENERATOR_STATS._warn_cache
    assert not GENERATOR_STATS._error_cache


def test_every_path_and_verb_is_in_the_document(document: dict[str, Any]) -> None:
    served = {
        ("/" + re.sub(r"<(?:str|path):(.*?)>", r"{\1}", str(each.pattern)), verb)
        for each in urlpatterns
        for verb in VERBS
        if getattr(each.callback.view_class, verb, None)  # type: ignore[attr-defined]
    }
    described = {(place, verb) for place, methods in document["paths"].items() for verb in methods}
    assert described == served


def test_every_operation_names_itself_once_and_answers_problems(document: dict[str, Any]) -> None:
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    ids = [each["operationId"] for each in operations]
    assert len(ids) == len(set(ids))
    for each in operations:
        assert each["summary"]
        for code, response in each["responses"].items():
            kinds = list(response["content"])
            assert (kinds == ["application/problem+json"]) == code.startswith("4"), (each["operationId"], code)
        assert {"400", "401", "403", "404", "406"} <= set(each["responses"])


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = set(document["components"]["schemas"])
    assert set(re.findall(r"#/components/schemas/(\w+)", str(document))) <= names


def test_what_is_answered_is_what_the_document_says(plane: Plane, document: dict[str, Any]) -> None:
    plane.post("/agents", {"name": "watcher", "type": "observer"})
    exchanges: list[tuple[str, str, str, Any]] = [
        ("post", "/manifest", "/manifest", {"manifest": MANIFEST}),
        ("post", "/agents", "/agents", {"name": "helper", "type": "sub-agent"}),
        ("patch", "/agents/{key}", "/agents/finance", {"goal": "pay"}),
        ("post", "/agents/{key}/keys", "/agents/finance/keys", {}),
        ("post", "/agents/{key}/api-keys", "/agents/finance/api-keys", {}),
        ("post", "/people", "/people", {"email": "dan@larkspur.example"}),
        ("post", "/tokens", "/tokens", {}),
        ("post", "/secrets", "/secrets", {"name": "openai", "value": "x"}),
        ("post", "/organizations", "/organizations", {"name": "Second"}),
        ("post", "/tools", "/tools", {"name": "x", "type": "y"}),
        ("post", "/models", "/models", {"name": "local/own", "provider": "local", "price": "free"}),
        ("post", "/models", "/models", {"name": "gpt-4-turbo", "provider": "openai"}),
        ("patch", "/models/{key}", "/models/local/own", {"tags": ["small"], "price": FIGURES}),
        ("delete", "/models/{key}", "/models/local/own", None),
        ("post", "/purposes", "/purposes", {"name": "quick", "models": ["gpt-4-turbo"], "hedge_after": "2s"}),
        ("patch", "/purposes/{key}", "/purposes/quick", {"cache": "1m", "hedge_after": None}),
        ("post", "/schedules", "/schedules", {"name": "nightly", "agent": "finance", "cron": "0 6 * * *"}),
        ("patch", "/schedules/{key}", "/schedules/nightly", {"enabled": False}),
        ("post", "/hooks", "/hooks", {"name": "invoices", "agent": "finance"}),
        ("post", "/hooks/{key}/rotate", "/hooks/invoices/rotate", None),
    ]
    here = {"AOS_Organization": "Larkspur"}
    names = {"agents": "finance", "tools": "payments.create", "policies": "large-payments", "budgets": "finance-month"}
    names |= {"workflows": "month-end", "departments": "finance", "people": ADMIN, "organizations": "Larkspur"}
    names |= {"schedules": "nightly", "hooks": "invoices", "models": "local/own", "purposes": "quick"}
    for place, methods in document["paths"].items():
        if "get" in methods and place not in ("/audit/export", "/docs", "/openapi.json", "/manifest.schema.json"):
            noun = place.split("/")[1]
            query = "?agent=finance&action=tool:payments.create" if place.endswith("/explain") else ""
            query = "?from=1" if place.endswith("/consistency") else query
            path = place.replace("{key}", names.get(noun, "")) + query
            exchanges.append(("get", place, path, None))
    seen: set[str] = set()
    for verb, place, path, body in exchanges:
        if place.startswith("/audit"):
            plane.integrate()
        if place == "/audit/proof/{record}":
            record = plane.rows("select record_id from ledger_leaf where index = 0 limit 1")[0][0]
            path = f"/audit/proof/{record}"
        answer = plane.request(verb.upper(), path, body, **here)
        response = document["paths"][place][verb]["responses"].get(str(answer.status_code))
        assert response is not None, (path, answer.status_code, answer.text)
        schema = next(iter(response["content"].values()))["schema"]
        jsonschema.validate(answer.json(), {**schema, "components": document["components"]})
        seen.add(str(answer.status_code)[0])
    assert seen == {"2", "4"}
