"""What assertions and access tokens must say, as tables: times and audiences, whom they name, and what is read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.errors import TokenRefused
from aos.kernel.json import Json
from aos.kernel.oauth import (
    ACCESS_TOKEN_SECONDS,
    ASSERTION_SECONDS_MAX,
    SKEW_SECONDS,
    Access,
    Held,
    Issued,
    Jwt,
    access_jwt,
    counts_for,
    name_client,
    names_server,
    organization_of,
    read_access,
    read_assertion,
    subject_of,
)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
HERE = ("https://aos.example", "http://127.0.0.1:8470")
ORG, AGENT, KEY, RUN, TASK, CLAIM = (UUID(int=n) for n in range(1, 7))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2),
)


def said(**more: Any) -> dict[str, Any]:
    return {"aud": HERE[0], "exp": AT + 60, "iat": AT, "jti": "1", **more}


@pytest.mark.parametrize(
    "more",
    [
        {"aud": "https://aos.example/oauth/token"}, {"aud": "https://aos.example/"}, {"aud": ["x", HERE[1]]},
        {"exp": AT - SKEW_SECONDS + 1}, {"exp": AT + ASSERTION_SECONDS_MAX + SKEW_SECONDS}, {"exp": AT + 0.5},
        {"nbf": AT + SKEW_SECONDS}, {"iat": AT + SKEW_SECONDS}, {"jti": "x" * 256},
    ],
)  # fmt: skip
def test_an_assertion_within_its_bounds_is_kept_until_it_could_not_be_used_again(more: dict[str, Any]) -> None:
    kept = read_assertion(said(**more), HERE, now=NOW)
    exp = said(**more)["exp"]
    assert kept.expires_at == datetime.fromtimestamp(exp, UTC) + timedelta(seconds=SKEW_SECONDS)
    with pytest.raises(TokenRefused, match="expired"):
        read_assertion(said(**more), HERE, now=kept.expires_at)


@pytest.mark.parametrize(
    "more",
    [
        {"aud": "https://aos.example/mcp"}, {"aud": "https://aos.example.evil.example"}, {"aud": []}, {"aud": {}},
        {"exp": AT - SKEW_SECONDS}, {"exp": AT + ASSERTION_SECONDS_MAX + SKEW_SECONDS + 1}, {"exp": float("nan")},
        {"exp": float("inf")}, {"exp": -1}, {"nbf": AT + SKEW_SECONDS + 1}, {"iat": AT + SKEW_SECONDS + 1}, {"iat": None},
        {"jti": "x" * 257}, {"jti": None},
    ],
)  # fmt: skip
def test_an_assertion_out_of_its_bounds_is_the_clients_fault(more: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused) as refused:
        read_assertion(said(**more), HERE, now=NOW)
    assert refused.value.code == "invalid_client"


@given(st.dictionaries(st.sampled_from(["aud", "exp", "iat", "nbf", "jti", "iss", "sub"]), JSON))
def test_no_claims_whatever_break_their_reader(claims: dict[str, Json]) -> None:
    found = {"invalid_client"}
    for read in (lambda: read_assertion(claims, HERE, now=NOW), lambda: subject_of(Jwt({"alg": "EdDSA"}, claims))):
        try:
            read()
        except TokenRefused as refused:
            found.add(refused.code)
    assert found == {"invalid_client"}
    assert read_access(Jwt({"typ": "at+jwt"}, claims), HERE, now=NOW) is None


def test_a_client_is_named_by_id_name_or_identity() -> None:
    assert name_client(str(AGENT)) == name_client(str(AGENT))
    assert (name_client(str(AGENT)).agent_id, name_client("finance").agent_id) == (AGENT, None)
    whole = name_client(f"spiffe://aos/{ORG}/agent/finance")
    assert (whole.organization_id, whole.name) == (ORG, "finance")
    for other in (f"spiffe://aos/{ORG}/agent", "spiffe://aos/x/agent/finance", f"spiffe://b/{ORG}/agent/finance"):
        assert name_client(other).organization_id is None
        assert name_client(other).name == other


def access(**more: Any) -> Access:
    return Access(ORG, AGENT, NOW + timedelta(seconds=ACCESS_TOKEN_SECONDS), **more)


def issued(given: Access, **more: Any) -> Issued:
    return Issued(**{
        "issuer": HERE[0], "audience": (HERE[0],), "access": given, "actors": (ORG, AGENT), "now": NOW, "jti": "1", **more,
    })  # fmt: skip


@pytest.mark.parametrize("given", [access(key_id=KEY), access(held=Held(RUN, TASK, CLAIM))])
def test_what_is_issued_is_read_back_until_it_expires(given: Access) -> None:
    token = access_jwt(issued(given), key_id=KEY)
    assert organization_of(token) == ORG
    assert read_access(token, HERE, now=NOW) == given
    assert read_access(token, HERE, now=given.expires_at - timedelta(seconds=1)) == given
    assert read_access(token, HERE, now=given.expires_at) is None
    assert read_access(token, HERE[1:], now=NOW) is None


def test_a_token_names_who_acts_for_whom_outermost_last() -> None:
    chain = (ORG, KEY, AGENT)
    claims = access_jwt(issued(access(held=Held(RUN, TASK, CLAIM)), actors=chain), key_id=KEY).claims
    assert claims["sub"] == str(ORG)
    assert claims["act"] == {"sub": str(AGENT), "act": {"sub": str(KEY)}}
    assert claims["client_id"] == str(AGENT)


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("https://aos.example", True), ("https://aos.example/mcp", True), ("http://127.0.0.1:8470/", True),
        ("https://aos.example.evil", False), ("https://aos.example@evil", False), ("https://aos.example?x", False),
        ("https://aos.example/#x", False), ("http://aos.example", False), ("", False), ("/", False),
    ],
)  # fmt: skip
def test_a_resource_is_this_server_by_a_name_the_operator_gave(uri: str, found: bool) -> None:
    assert names_server(uri, HERE) is found


def test_a_retired_key_counts_as_long_as_what_it_signed() -> None:
    last = NOW + timedelta(seconds=ACCESS_TOKEN_SECONDS)
    assert counts_for(None, now=last)
    assert counts_for(NOW, now=last)
    assert not counts_for(NOW, now=last + timedelta(seconds=SKEW_SECONDS))
