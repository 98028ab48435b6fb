"""The doors that the reference lists are there, each in its protocol's words."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from aos.control_plane.openapi import openapi_document
from aos.kernel.doors import DOORS, AgentDoor
from tests.databases import Server, cloned
from tests.doors import Door, open_door
from tests.worlds import agent, make_world


@pytest.fixture(scope="module")
def door(postgres_server: Server) -> Iterator[Door]:
    for database in cloned(postgres_server):
        with open_door(make_world(database, agents=[agent("finance", "erp.*")], tools=[])) as opened:
            yield opened


@pytest.mark.parametrize("listed", DOORS, ids=lambda each: f"{each.method} {each.path}")
def test_a_door_that_is_listed_is_answered(door: Door, listed: AgentDoor) -> None:
    names = {"{name}": "x", "{agent}": "finance", "{task}": str(uuid4()), "{id}": str(uuid4())}
    names |= {"{organization}": str(door.world.organization_id), "{hook}": str(uuid4())}
    path = listed.path
    for name, value in names.items():
        path = path.replace(name, value)
    answer = door.client.request(listed.method, path, json={} if listed.method == "POST" else None)
    there = (200, 400, 401) if listed.takes != "its signature" else (404,)
    assert answer.status_code in there, (path, answer.status_code, answer.text)
    if listed.takes == "its signature":
        assert "signed with its secret" in answer.json()["detail"], "who cannot sign is not told which hooks there are"


def test_the_openapi_document_names_every_door() -> None:
    told = openapi_document()["info"]["description"]
    assert all(f"`{each.method} {each.path}`" in told for each in DOORS)
