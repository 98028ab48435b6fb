"""People in several organizations: nobody comes into one by what another handed out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aos.kernel.errors import Unauthenticated
from aos.kernel.identity import Principal
from aos.operations.authenticate import Authenticator
from aos.operations.facts import FactsCache
from aos.operations.sessions import open_session_by_link
from aos.store.hot.database import Database, DatabaseConfig
from tests.planes import Plane

VICTIM = "victim@larkspur.example"


@pytest.fixture
def other(plane: Plane) -> str:
    """A second organization, founded by the same administrator."""
    assert plane.post("/organizations", {"name": "Other"}).status_code == 201
    return "Other"


def invite(plane: Plane, organization: str, *roles: str) -> Any:
    """Invite the victim into one organization and return the answer."""
    body = {"email": VICTIM, "roles": list(roles)}
    return plane.request("POST", "/people", body, AOS_Organization=organization)


def redeem(plane: Plane, link: str) -> str:
    """Exchange a link for a token."""
    return str(plane.post("/people/link", {"link": link}).json()["token"])


def organizations(plane: Plane, token: str) -> list[str]:
    """Return the names of what a token opens."""
    found = [each["name"] for each in plane.get("/organizations", token=token).json()["items"]]
    assert sorted(found) == sorted(each["name"] for each in plane.get("/whoami", token=token).json()["organizations"])
    return found


def home(plane: Plane) -> str:
    """Return the name of the first organization."""
    return str(plane.rows("select name from organization where id = %s", plane.actor.organization_id)[0][0])


def test_a_token_taken_by_one_organization_opens_no_other_that_invites_the_same_address(
    plane: Plane, other: str
) -> None:
    first = home(plane)
    taken = redeem(plane, invite(plane, first, "viewer").json()["link"])
    invited = invite(plane, other, "admin")
    assert invited.status_code == 201
    assert organizations(plane, taken) == [first]
    for path in ("/agents", "/people", "/whoami"):
        refused = plane.request("GET", path, token=taken, AOS_Organization=other)
        assert (refused.status_code, "a link of its own" in refused.json()["detail"]) == (404, True)
    assert plane.get("/whoami", token=taken).json()["organization"]["name"] == first
    assert plane.get(f"/organizations/{other}", token=taken).status_code == 404
    own = redeem(plane, invited.json()["link"])
    assert organizations(plane, own) == [other]
    assert plane.get("/whoami", token=own).json()["roles"] == ["admin"]
    assert plane.request("GET", "/agents", token=own, AOS_Organization=first).status_code == 404


def test_a_token_made_with_a_token_opens_no_more_and_neither_sees_nor_revokes_those_of_other_issuers(
    plane: Plane, other: str
) -> None:
    first = home(plane)
    taken = redeem(plane, invite(plane, first, "viewer").json()["link"])
    own = redeem(plane, invite(plane, other, "viewer").json()["link"])
    further = plane.post("/tokens", {"label": "further"}, token=taken).json()
    assert organizations(plane, further["token"]) == [first]
    listed = {each["id"] for each in plane.get("/tokens", token=own).json()["items"]}
    assert len(listed) == 1
    assert further["id"] not in listed
    assert plane.delete(f"/tokens/{further['id']}", token=own).status_code == 404
    assert plane.delete(f"/tokens/{listed.pop()}", token=taken).status_code == 404
    assert plane.delete(f"/tokens/{further['id']}", token=taken).status_code == 200
    assert plane.get("/whoami", token=further["token"]).status_code == 401


def test_who_founds_an_organization_comes_in_with_the_token_that_founded_it_and_by_no_others_invitation(
    plane: Plane, other: str
) -> None:
    first = home(plane)
    assert organizations(plane, plane.token) == [other, first]
    made = plane.request("POST", "/organizations", {"name": "Third"}, AOS_Organization=other)
    assert made.status_code == 201
    assert organizations(plane, plane.token) == ["Third", other, first]
    link = plane.request("POST", f"/people/{plane.actor.email}/link", AOS_Organization="Third").json()["link"]
    assert organizations(plane, redeem(plane, link)) == ["Third"]


def test_a_session_shows_only_what_the_link_or_token_that_opened_it_opens(plane: Plane, other: str) -> None:
    first = home(plane)
    invite(plane, first, "viewer")
    link = invite(plane, other, "viewer").json()["link"]
    cookie = {"Cookie": f"aos_session={open_session_by_link(plane.drivers, link).cookie}"}
    shown = plane.client.get("/whoami", headers=cookie).json()
    assert [each["name"] for each in shown["organizations"]] == [other]


def test_the_doors_of_agents_keep_organizations_apart_in_the_same_way(plane: Plane, other: str) -> None:
    first = home(plane)
    taken = redeem(plane, invite(plane, first, "viewer").json()["link"])
    invite(plane, other, "admin")

    async def ask(token: str, organization: str | None) -> Principal:
        database = Database(DatabaseConfig(plane.database.app, plane.database.machine))
        await database.open()
        try:
            return await Authenticator(database, FactsCache(database, plane.drivers)).principal(
                token, organization=organization
            )
        finally:
            await database.close()

    here = asyncio.run(ask(taken, None))
    assert (here.organization_id, here.roles) == (plane.actor.organization_id, ("viewer",))
    with pytest.raises(Unauthenticated):
        asyncio.run(ask(taken, other))
    assert asyncio.run(ask(plane.token, other)).roles == ("admin",)
