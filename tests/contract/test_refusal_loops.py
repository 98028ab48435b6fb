"""A program outside of runs that asks for a refused act again and again loses its next model call, once; nobody else does."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from aos.kernel.limits import REFUSALS_ALIKE_MAX
from tests.contract.framework_pages import REFUSED_ORDER, Desk, open_desk
from tests.contract.mcp_peer import STATELESS, call
from tests.databases import Database


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as opened:
        yield opened


def ask(desk: Desk, key: str) -> httpx.Response:
    """Ask the model."""
    body = {"model": "gpt", "messages": [{"role": "user", "content": "hello"}]}
    return desk.door.client.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})


def is_refused(desk: Desk, key: str, order: str) -> bool:
    """Call the tool by MCP."""
    return bool(call(desk.door, key, STATELESS, "orders_status", {"order": order}).is_error)


def test_who_repeats_a_refused_call_loses_one_model_call(desk: Desk) -> None:
    other = desk.door.api_key("research")
    for _ in range(REFUSALS_ALIKE_MAX):
        assert ask(desk, desk.key).status_code == 200
        assert is_refused(desk, desk.key, REFUSED_ORDER)
    assert ask(desk, other).status_code == 200
    ended = ask(desk, desk.key)
    assert (ended.status_code, ended.headers["x-should-retry"]) == (403, "false")
    assert ended.json()["error"]["aos"]["type"].endswith("refused-again")
    assert "`tool:orders.status` was refused 5 times alike" in ended.json()["error"]["message"]
    assert ask(desk, desk.key).status_code == 200


def test_other_refusals_and_what_is_allowed_count_for_nothing(desk: Desk) -> None:
    for n in range(REFUSALS_ALIKE_MAX):
        assert call(desk.door, desk.key, STATELESS, "orders_status", {"order": n}).is_error, "the schema wants a text"
        assert not is_refused(desk, desk.key, "A1")
    assert not any(is_refused(desk, desk.key, "A1") for _ in range(REFUSALS_ALIKE_MAX))
    assert ask(desk, desk.key).status_code == 200
