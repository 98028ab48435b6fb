"""Limits by REST and by manifest: queues are made, changed and deleted; a limit counts when its version does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planes import Plane

TOOL: dict[str, Any] = {"name": "erp.render", "python": "example.erp:render", "effect": "read", "concurrency": 2}
AGENT: dict[str, Any] = {"name": "render", "type": "functional", "queue": "gpu", "concurrency": 3}


def limits(plane: Plane) -> dict[tuple[str, str], int]:
    """Return every limit that counts, by kind and name."""
    return {(kind, name): most for kind, name, most in plane.rows("select kind, name, at_most from concurrency_limit")}


def answer(response: Any, status: int = 200) -> Any:
    """Return the body of a response of that status."""
    assert response.status_code == status, response.text
    return response.json()


def test_a_queue_is_made_shown_changed_and_deleted(plane: Plane) -> None:
    made = plane.post("/queues", {"name": "gpu", "concurrency": 4})
    assert made.headers["Location"] == "/queues/gpu"
    assert (answer(made, 201)["concurrency"], made.json()["under_way"]) == (4, 0)
    assert answer(plane.post("/queues", {"name": "gpu", "concurrency": 9}), 409)["status"] == 409
    assert [each["name"] for each in answer(plane.get("/queues"))["items"]] == ["gpu"]
    assert answer(plane.patch("/queues/gpu", {"concurrency": 5}))["concurrency"] == 5
    assert limits(plane) == {("queue", "gpu"): 5}
    answer(plane.post("/agents", AGENT), 201)
    assert "agent `render` has its tasks in it" in answer(plane.delete("/queues/gpu"), 409)["detail"]
    answer(plane.patch("/agents/render", {"queue": None}))
    assert answer(plane.delete("/queues/gpu"))["name"] == "gpu"
    answer(plane.get("/queues/gpu"), 404)
    changes = [
        name for (name,) in plane.rows("select convert_from(bytes, 'utf8')::json->>'change' from record order by id")
    ]
    assert [each for each in changes if each.startswith("queue.")] == [
        "queue.created",
        "queue.changed",
        "queue.deleted",
    ]


@pytest.mark.parametrize("wrong", [0, 10_001, "4", None])
def test_a_queue_without_a_limit_that_fits_is_refused_where_it_says_so(plane: Plane, wrong: Any) -> None:
    refused = answer(plane.post("/queues", {"name": "gpu", "concurrency": wrong}), 400)
    assert [each["pointer"] for each in refused["errors"]] == ["/concurrency"]
    assert limits(plane) == {}


def test_a_limit_is_set_changed_and_taken_away_with_its_version(plane: Plane) -> None:
    answer(plane.post("/queues", {"name": "gpu", "concurrency": 4}), 201)
    assert answer(plane.post("/tools", TOOL), 201)["concurrency"] == 2
    assert answer(plane.post("/agents", AGENT), 201)["concurrency"] == 3
    assert limits(plane) == {("queue", "gpu"): 4, ("tool", "erp.render"): 2, ("agent", "render"): 3}
    answer(plane.patch("/tools/erp.render", {"concurrency": 7}))
    assert answer(plane.patch("/agents/render", {"concurrency": None}))["concurrency"] is None
    assert limits(plane) == {("queue", "gpu"): 4, ("tool", "erp.render"): 7}
    answer(plane.patch("/agents/render", {"concurrency": 1}))
    answer(plane.delete("/agents/render"))
    answer(plane.delete("/tools/erp.render"))
    assert limits(plane) == {("queue", "gpu"): 4}
    answer(plane.post("/tools", TOOL), 201)
    assert limits(plane)["tool", "erp.render"] == 2


def test_a_limit_of_a_version_that_waits_does_not_count_before_it_is_published(plane: Plane) -> None:
    answer(plane.post("/queues", {"name": "gpu", "concurrency": 4}), 201)
    answer(plane.post("/tools", TOOL), 201)
    answer(plane.post("/agents", AGENT), 201)
    developer = plane.as_person("dan@larkspur.example", "developer")
    before = limits(plane)
    weaker = {"repeat": "safe", "effect": "write", "concurrency": 50}
    assert answer(plane.patch("/tools/erp.render", weaker, token=developer))["draft_version"] == 2
    wider = {"tools": ["erp.render"], "concurrency": 60}
    assert answer(plane.patch("/agents/render", wider, token=developer))["draft_version"] == 2
    fresh = {**TOOL, "name": "erp.fresh", "concurrency": 70}
    assert answer(plane.post("/tools", fresh, token=developer), 201)["version"] == 0
    assert limits(plane) == before
    for path in ("/tools/erp.render", "/agents/render", "/tools/erp.fresh"):
        answer(plane.post(f"{path}/publish", {"version": plane.get(path).json()["draft_version"]}))
    assert limits(plane) == before | {("tool", "erp.render"): 50, ("agent", "render"): 60, ("tool", "erp.fresh"): 70}


def test_a_models_limit_goes_with_its_version_as_a_tools_does(plane: Plane) -> None:
    own = {
        "name": "own/small",
        "provider": "openai-compatible",
        "base_url": "http://127.0.0.1:8000/v1",
        "price": "free",
    }
    assert answer(plane.post("/models", {**own, "concurrency": 2}), 201)["concurrency"] == 2
    assert limits(plane) == {("model", "own/small"): 2}
    developer = plane.as_person("dan@larkspur.example", "developer")
    answer(plane.patch("/models/own/small", {"concurrency": 9}, token=developer))
    assert limits(plane) == {("model", "own/small"): 9}
    elsewhere = {"base_url": "http://127.0.0.1:9000/v1", "concurrency": 40}
    assert answer(plane.patch("/models/own/small", elsewhere, token=developer))["draft_version"] == 3
    assert limits(plane) == {("model", "own/small"): 9}
    answer(plane.post("/models/own/small/publish", {"version": 3}))
    assert limits(plane) == {("model", "own/small"): 40}
    answer(plane.post("/purposes", {"name": "small", "models": ["own/small"]}), 201)
    answer(plane.delete("/models/own/small"))
    assert limits(plane) == {}
    answer(plane.post("/models", {**own, "concurrency": 3}), 201)
    answer(plane.patch("/models/own/small", {"concurrency": None}))
    assert limits(plane) == {}


def test_a_raised_limit_of_its_own_counts_at_once_for_who_may_not_publish(plane: Plane) -> None:
    answer(plane.post("/tools", TOOL), 201)
    developer = plane.as_person("dan@larkspur.example", "developer")
    assert answer(plane.patch("/tools/erp.render", {"concurrency": 9}, token=developer))["draft_version"] is None
    assert limits(plane) == {("tool", "erp.render"): 9}


def apply(plane: Plane, manifest: dict[str, Any], *, prune: bool = False) -> Any:
    return plane.post("/manifest", {"manifest": {"aos": 1, **manifest}, "prune": prune})


def test_a_manifest_makes_queues_and_limits_and_prunes_a_queue_that_nothing_names(plane: Plane) -> None:
    whole = {
        "queues": {"gpu": {"concurrency": 4}},
        "agents": {"render": {"type": "functional", "queue": "gpu", "concurrency": 3}},
    }
    answer(apply(plane, whole))
    assert limits(plane) == {("queue", "gpu"): 4, ("agent", "render"): 3}
    assert answer(apply(plane, whole))["changes"] == []
    raised = {**whole, "queues": {"gpu": {"concurrency": 40}}}
    (change,) = answer(apply(plane, raised))["changes"]
    assert (change["mark"], change["kind"], change["name"]) == ("~", "queue", "gpu")
    answer(apply(plane, {"agents": whole["agents"]}, prune=True), 409)
    answer(apply(plane, {"agents": {"render": {"type": "functional"}}}, prune=True))
    assert limits(plane) == {}
    wrong = answer(apply(plane, {"agents": {"render": {"type": "functional", "queue": "gpu"}}}), 422)
    assert [each["pointer"] for each in wrong["errors"]] == ["/manifest/agents/render/queue"]
