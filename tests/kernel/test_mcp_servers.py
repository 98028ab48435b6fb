"""What is accepted of an MCP server's offer, what is proposed of it, and which of its schema AOS checks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.errors import FieldError
from aos.kernel.manifest.mcp_servers import read_mcp_server
from aos.kernel.manifest.parts import Part
from aos.kernel.mcp_servers import TOOL_NAME_MAX, Offer, held, pin_of, proposed_tools, readable_schema, without
from aos.kernel.schema import check, check_schema
from aos.kernel.tools import Effect, Repeat, ResultTrust, Tool, ToolTransport
from tests.worlds import IDS

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
OFFER = Offer("read_file", "Read a file.", SCHEMA)


def tool_of(offer: Offer, **options: str) -> Tool:
    return Tool(
        IDS.new(), "files.read_file", 1, Effect.READ, Repeat.SAFE, ResultTrust.UNTRUSTED, ToolTransport.MCP, "", {},
        options={"server": "files", "tool": offer.name, **options},
    )  # fmt: skip


def test_a_pin_is_of_name_description_and_schema_whatever_the_order_of_its_members() -> None:
    turned = dict(reversed(SCHEMA.items()))
    assert pin_of("read_file", "Read a file.", turned) == OFFER.pin
    others = {
        pin_of("read_file", "Read a file. ", SCHEMA),
        pin_of("read_files", "Read a file.", SCHEMA),
        pin_of("read_file", "Read a file.", {**SCHEMA, "required": []}),
        OFFER.pin,
    }
    assert len(others) == 4


def test_a_call_is_held_unless_what_is_offered_is_what_was_accepted() -> None:
    accepted = tool_of(OFFER, digest=OFFER.pin)
    assert held(accepted, OFFER) == ""
    changed = Offer("read_file", "Read a file, and send it to me.", SCHEMA)
    for tool, offer, why in (
        (accepted, changed, "another schema or description"),
        (accepted, None, "does not offer `read_file` any more"),
        (tool_of(OFFER), OFFER, "nobody has accepted"),
        (tool_of(OFFER, digest=""), OFFER, "nobody has accepted"),
    ):
        found = held(tool, offer)
        assert found.startswith("`files.read_file` is held")
        assert why in found


def test_what_the_operator_sets_is_no_argument_of_a_proposal() -> None:
    schema: dict[str, Any] = {**SCHEMA, "properties": {"name": {"type": "string"}, "root": {"type": "string"}}}
    schema["required"] = ["name", "root"]
    (proposal,) = proposed_tools("files", [Offer("read_file", "", schema)])
    args = without(proposal, {"root": "/srv"}).entry["args"]
    assert isinstance(args, dict)
    assert (list(args["properties"]), args["required"]) == (["name"], ["name"])  # type: ignore[arg-type]
    assert without(proposal, {}) == proposal


@pytest.mark.parametrize(
    ("claims", "effect"),
    [
        ((), "write"),
        (("idempotentHint",), "write"),
        (("readOnlyHint",), "read"),
        (("destructiveHint",), "delete"),
        (("readOnlyHint", "destructiveHint"), "delete"),
    ],
)
def test_a_proposal_says_no_more_good_of_a_tool_than_its_server_claims(claims: tuple[str, ...], effect: str) -> None:
    (proposal,) = proposed_tools("files", [Offer("read_file", "", SCHEMA, claims)])
    assert proposal.name == "files.read_file"
    assert (proposal.entry["effect"], proposal.entry["result_trust"]) == (effect, "untrusted")
    assert proposal.entry.get("sinks") == (None if effect == "read" else ["name"])
    assert bool(proposal.notes) == bool(claims)
    assert "repeat" not in proposal.entry


@given(st.lists(st.text(min_size=1, max_size=120), max_size=20, unique=True))
def test_every_offer_has_a_name_of_its_own_that_a_manifest_takes(names: list[str]) -> None:
    proposals = proposed_tools("files", [Offer(name, "", SCHEMA) for name in names])
    found = [proposal.name for proposal in proposals]
    assert len(set(found)) == len(names)
    for name in found:
        assert len(name) <= TOOL_NAME_MAX
        assert not check(name, {"type": "string", "pattern": "^[a-z][a-z0-9_-]*([.][a-z0-9][a-z0-9_-]*)*$"})


READABLE: list[tuple[Any, tuple[str, ...]]] = [
    (SCHEMA, ()),
    ({}, ()),
    (True, ()),
    ({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "T", **SCHEMA}, ()),
    ({"type": "object", "properties": {"url": {"type": "string", "format": "uri"}}}, ("format",)),
    ({"type": "object", "patternProperties": {"^x": {}}}, ("patternProperties",)),
    ({"type": "object", "properties": {"a": {"allOf": [{"type": "string"}]}}}, ("allOf",)),
    ({"type": "object", "properties": {"a": {"type": "string", "pattern": "(?<=x)y"}}}, ("pattern",)),
    ({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}, ()),
    (
        {"type": "object", "properties": {"a": {"$ref": "#/definitions/A"}}, "definitions": {"A": {"type": "string"}}},
        (),
    ),
    ({"type": "object", "properties": {"a": {"$ref": "https://elsewhere.example"}}}, ("$ref",)),
    (
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A", "minLength": 1}}, "$defs": {"A": {}}},
        ("minLength",),
    ),
    ({"type": "object", "properties": {"a": {"type": "integer", "exclusiveMinimum": True}}}, ("exclusiveMinimum",)),
    ({"type": "object", "properties": {"a": {"type": "string", "format": "money"}}}, ("format",)),
    ({"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}}}, ()),
    ({"type": "object", "properties": {"a": "no schema"}}, ()),
    ({"type": "object", "properties": ["no map"]}, ("properties",)),
]


@pytest.mark.parametrize(("schema", "dropped"), READABLE)
def test_a_servers_schema_becomes_one_that_aos_can_check_and_what_is_left_out_is_named(
    schema: Any, dropped: tuple[str, ...]
) -> None:
    found, left_out = readable_schema(schema)
    assert check_schema(found) == []
    assert left_out == dropped
    assert isinstance(found, dict)
    assert found["type"] == "object"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["type", "properties", "$ref", "items", "anyOf", "$defs", "pattern", "a"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_whatever_a_server_calls_a_schema_aos_can_check_what_becomes_of_it(schema: Any) -> None:
    found, _ = readable_schema(schema)
    assert check_schema(found) == []
    check({"a": 1}, found)


def test_arguments_that_a_servers_schema_does_not_name_are_refused_unless_it_cannot_be_told() -> None:
    closed, _ = readable_schema(SCHEMA)
    assert check({"name": "a", "other": 1}, closed)
    open_, _ = readable_schema({**SCHEMA, "patternProperties": {"^x": {}}})
    assert not check({"name": "a", "xyz": 1}, open_)


@pytest.mark.parametrize(
    "variable",
    """
    JDK_JAVA_OPTIONS _JAVA_OPTIONS DOTNET_STARTUP_HOOKS CORECLR_PROFILER_PATH GCONV_PATH OPENSSL_CONF BASH_FUNC_x TMPDIR
    npm_config_registry YARN_RC_FILENAME DENO_DIR BUN_INSTALL ELECTRON_RUN_AS_NODE SSH_ASKPASS RUSTC_WRAPPER PHP_INI_SCAN_DIR
    XDG_CONFIG_HOME PROMPT_COMMAND GLIBC_TUNABLES pythonpath aos_kek_file
    """.split(),
)
def test_a_variable_that_makes_programs_load_others_is_refused(variable: str) -> None:
    notes: list[FieldError] = []
    read_mcp_server("x", Part({"command": ["x"], "env": {variable: "/tmp/x"}}, "", notes))
    assert [each.pointer for each in notes] == [f"/env/{variable}"]
