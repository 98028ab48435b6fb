"""Who may change what policies read of an organization."""

from __future__ import annotations

import pytest

from tests.planes import Plane


@pytest.mark.parametrize("setting", [{"environment": "playground"}, {"run_clock": True}, {"timezone": "Asia/Tokyo"}])
def test_what_policies_read_of_the_settings_is_changed_by_who_may_publish_policies(
    plane: Plane, setting: dict[str, object]
) -> None:
    developer = plane.as_person("dan@larkspur.example", "developer")
    manifest = {"aos": 1, "organization": setting}
    before = plane.get("/organizations").json()
    assert plane.post("/manifest", {"manifest": manifest}, token=developer).status_code == 403
    assert plane.get("/organizations").json() == before
    assert plane.post("/manifest", {"manifest": manifest}).status_code == 200
    assert plane.post("/manifest", {"manifest": manifest}, token=developer).status_code == 200
