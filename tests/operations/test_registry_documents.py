"""What is registered can be written back: every field of every part survives reading and writing."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import pytest

from aos.kernel.json import Json
from aos.kernel.manifest.parse import parse_manifest
from aos.kernel.manifest.values import Manifest
from aos.operations.documents import (
    agent_document,
    budget_document,
    duration_text,
    merge_patch,
    policy_document,
    tool_document,
    workflow_document,
)
from aos.operations.model_documents import model_document, purpose_document

FULL: dict[str, Any] = {
    "aos": 1,
    "organization": {"currency": "EUR", "rates": {"USD": "0.92"}},
    "departments": {"finance": {"cost_center": "CC-210"}},
    "queues": {"gpu": {"concurrency": 4}},
    "tools": {
        "erp.vendor": {
            "python": "example.erp:vendor",
            "effect": "read",
            "args": {"properties": {"id": {"type": "string"}}},
        },
        "payments.reverse": {
            "python": "example.erp:reverse",
            "effect": "pay",
            "args": {"properties": {"id": {"type": "string"}}},
        },
        "payments.create": {
            "python": "example.erp:pay",
            "effect": "pay",
            "repeat": "keyed",
            "result_trust": "own",
            "sinks": ["iban"],
            "args": {
                "properties": {"iban": {"type": "string"}, "amount": {"type": "string", "format": "money"}},
                "required": ["iban"],
            },
            "fixed": {"bank": "main"},
            "facts": {"vendor": {"tool": "erp.vendor", "args": {"id": "iban"}}},
            "compensate": {"tool": "payments.reverse", "arguments": {"id": "${output.id}"}},
            "price": {"per_call": "0.002 USD"},
            "reversible": True,
            "timeout": "90s",
            "description": "Pays",
            "concurrency": 2,
        },
    },
    "models": {
        "local/small": {"provider": "local", "price": "free"},
        "ours": {
            "provider": "azure",
            "api_key": {"secret": "azure"},
            "upstream": "gpt-4-turbo",
            "base_url": "https://larkspur.openai.azure.com",
            "dialects": ["openai-chat"],
            "context": 64_000,
            "output": 2_000,
            "price": [
                {
                    "input_per_million": "2.50 USD",
                    "output_per_million": "10 USD",
                    "cached_per_million": "1.25 USD",
                    "cache_write_per_million": "3 USD",
                    "cache_write_hour_per_million": "5 USD",
                    "since": "2026-01-01",
                    "above_tokens": 1_000,
                    "source": "the contract",
                },
                {"input_per_million": "0 USD", "output_per_million": "0 USD"},
            ],
            "capabilities": ["tools"],
            "tags": ["general"],
            "region": "eu",
            "strength": 5,
            "fallbacks": ["local/small"],
            "concurrency": 4,
            "timeout": "90s",
            "options": {"deployment": "main"},
        },
    },
    "purposes": {
        "quick": {
            "models": ["local/small", "ours"],
            "objective": "cost",
            "residency": ["eu"],
            "canary": {"ours": 5},
            "hedge_after": "1500ms",
            "cascade": ["json", "finished"],
            "cache": "10m",
            "attempts": 3,
        }
    },
    "agents": {
        "finance": {
            "type": "functional",
            "owner": "maria@larkspur.example",
            "department": "finance",
            "goal": "pay",
            "objectives": [{"name": "on time", "kpi": "days", "target": "<= 3"}],
            "runtime": {"python": "example.agents:finance", "inline": True},
            "tools": [{"tools": "erp.*", "effects": ["read"]}, "payments.create"],
            "models": ["ours", "purpose:quick"],
            "delegates": ["helper"],
            "roles": ["clerk"],
            "permissions": ["run.start"],
            "risk": "high",
            "queue": "gpu",
            "price": {"per_second": "0.001 EUR"},
            "concurrency": 3,
        },
        "helper": {"type": "sub-agent"},
    },
    "policies": [
        {
            "id": "large",
            "agents": ["finance"],
            "actions": ["tool:payments.create"],
            "effects": ["pay"],
            "when": "args.amount > 5",
            "outcome": "escalate",
            "approvers": {"role": "admin", "expires": "90m"},
            "reason": "large",
        }
    ],
    "budgets": [
        {"id": "month", "scope": "department:finance", "limit": "200.50 EUR", "per": "month", "warn_at": ["50%", "80%"]}
    ],
    "workflows": {
        "close": {
            "description": "closes",
            "input": {"type": "object", "properties": {"month": {"type": "string"}}},
            "tasks": {
                "match": {"agent": "finance", "input": {"month": "${input.month}"}},
                "each": {
                    "agent": "helper",
                    "after": ["match"],
                    "for_each": "${match.output}",
                    "input": "${item}",
                    "retry": {
                        "attempts": 3,
                        "backoff": "1500ms",
                        "max_backoff": "2m",
                        "on": ["raised", "timed-out"],
                        "never": ["KeyError"],
                    },
                    "timeout": "10m",
                    "total_timeout": "1h",
                    "when": "${match.output.ok}",
                    "join": "any",
                    "on_failure": "continue",
                    "fallback": {"agent": "finance"},
                    "queue": "gpu",
                    "priority": 7,
                },
            },
            "output": "${match.output}",
        }
    },
}


def written_back(manifest: Manifest) -> Json:
    """Return the document of a manifest's parts."""
    return {
        "aos": 1,
        "organization": FULL["organization"],
        "departments": FULL["departments"],
        "queues": FULL["queues"],
        "tools": {spec.name: tool_document(spec) for spec in manifest.tools},
        "models": {spec.name: model_document(spec) for spec in manifest.models},
        "purposes": {spec.name: purpose_document(spec) for spec in manifest.purposes},
        "agents": {spec.name: agent_document(spec) for spec in manifest.agents},
        "policies": [{"id": rule.id, **policy_document(rule)} for rule in manifest.policies],
        "budgets": [{"id": spec.id, **budget_document(spec)} for spec in manifest.budgets],
        "workflows": {spec.name: workflow_document(spec) for spec in manifest.workflows},
    }


def test_what_is_written_back_reads_the_same() -> None:
    manifest = parse_manifest(FULL)
    assert parse_manifest(written_back(manifest)) == manifest


def test_the_sample_leaves_no_field_at_its_default() -> None:
    manifest = parse_manifest(FULL)
    tool, agent = manifest.tools[1], manifest.agents[0]
    task = manifest.workflows[0].tasks[1]
    samples: list[Any] = [
        tool,
        agent,
        manifest.models[1],
        manifest.models[1].prices[0],
        manifest.purposes[0],
        manifest.policies[0],
        manifest.budgets[0],
        manifest.workflows[0],
        task,
        task.retry,
    ]
    for sample in samples:
        for each in fields(sample):
            default = each.default if each.default_factory is MISSING else each.default_factory()
            if default is not MISSING and each.name not in (
                "version",
                "source",
                "on_limit",
                "workflow",
                "options",
            ):  # in the place of `entry`
                assert getattr(sample, each.name) != default, f"{type(sample).__name__}.{each.name}"


@pytest.mark.parametrize(
    ("seconds", "text"), [(60, "1m"), (90, "90s"), (1.5, "1500ms"), (86_400, "1d"), (14_400, "4h"), (0, "0ms")]
)
def test_a_duration_is_written_in_the_largest_unit_that_keeps_it_whole(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_merge_patch_removes_merges_and_replaces() -> None:
    # The cases of RFC 7396, appendix A, that have an object on both sides.
    for target, patch, merged in (
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ):
        assert merge_patch(target, patch) == merged  # type: ignore[arg-type]
