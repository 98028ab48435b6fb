"""Every command asks the server what the contract names, prints what came, and exits with the status that says how it went."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest

from tests.contract.cli_peer import Cli, Peer, events

RUN = "01998a3e-0000-7000-8000-0000000000aa"
APPROVAL = "01998a3e-0000-7000-8000-0000000000bb"
AGENT = {"id": RUN, "name": "finance", "type": "functional", "status": "running", "updated_at": "2026-03-31T11:57:00Z"}


@pytest.mark.parametrize(
    "name", ["agents", "people", "tokens", "departments", "tools", "policies", "budgets", "workflows"]
)
def test_a_collection_is_listed_under_both_its_names(name: str, aos: Cli, peer: Peer) -> None:
    peer.give(f"GET /{name}", {"items": [{"id": RUN, "name": "x", "email": "x@y.example"}], "next": None})
    singular = {"people": "person", "policies": "policy"}.get(name, name[:-1])
    assert aos(name, "list", "--json").json["items"][0]["id"] == RUN
    listed = aos(singular, "list")
    assert (listed.status, listed.err) == (0, "")
    assert listed.out.strip()


def test_a_list_is_fetched_page_by_page(aos: Cli, peer: Peer) -> None:
    peer.give("GET /agents", {"items": [AGENT] * 200, "next": "c2"})
    peer.give("GET /agents", {"items": [AGENT] * 30, "next": None})
    assert len(aos("agents", "list", "-n", "400", "--json").json["items"]) == 230
    assert [each.query.get("cursor") for each in peer.asked] == [None, "c2"]


def test_a_table_shows_short_ids_and_relative_times_and_json_shows_all(aos: Cli, peer: Peer) -> None:
    peer.give("GET /agents", {"items": [AGENT], "next": None})
    shown = aos("agents", "list").out
    assert "000000aa" in shown
    assert RUN not in shown
    assert "3m ago" in shown
    assert aos("agents", "list", "--json").json["items"] == [AGENT]


def test_what_others_wrote_cannot_drive_the_terminal(aos: Cli, peer: Peer) -> None:
    peer.give("GET /agents", {"items": [{**AGENT, "owner": "\x1b[2Jx\u202e[bold]y[/]"}], "next": None})
    shown = aos("agents", "list").out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[bold]y[/]" in shown


@pytest.mark.parametrize(
    ("http_status", "exit_status"),
    [
        (400, 2),
        (401, 8),
        (402, 4),
        (403, 4),
        (404, 3),
        (409, 6),
        (412, 6),
        (413, 2),
        (422, 2),
        (429, 7),
        (500, 1),
        (503, 7),
    ],
)
def test_each_problem_has_its_exit_status_and_one_line(
    http_status: int, exit_status: int, aos: Cli, peer: Peer
) -> None:
    peer.refuse("GET /agents", http_status, "Some title", "some detail")
    done = aos("agents", "list")
    assert done.status == exit_status
    assert done.out == ""
    assert done.err.startswith("Some title: some detail")
    assert "Traceback" not in done.err
    told = aos("agents", "list", "--json")
    assert (told.status, told.out) == (exit_status, "")
    problem = json.loads(told.err)
    assert (problem["title"], problem["status"], problem["exit_status"]) == ("Some title", http_status, exit_status)


@pytest.mark.parametrize(
    "wrong", [["agents", "list", "--url", "http://127.0.0.1:1"], ["agents", "lst"], ["run", "x", "-i", "{"]]
)
def test_under_json_a_failure_without_an_answer_is_one_object_too(wrong: list[str], aos: Cli) -> None:
    done = aos(*wrong, "--json")
    problem = json.loads(done.err)
    assert (done.out, problem["exit_status"]) == ("", done.status)
    assert set(problem) == {"title", "detail", "exit_status"}


def test_what_is_not_found_says_in_which_organization_it_was_looked_for(aos: Cli, peer: Peer) -> None:
    names = [{"name": "larkspur"}, {"name": "umbra"}]
    peer.refuse(f"GET /agents/{RUN}", 404, "Not found")
    assert "--org" not in aos("agents", "show", RUN).err, "who cannot be asked for is not named"
    peer.give("GET /whoami", {"organization": names[0], "organizations": names[:1]})
    assert "--org" not in aos("agents", "show", RUN).err, "there is no other to look in"
    peer.answers.pop("GET /whoami")
    peer.give("GET /whoami", {"organization": names[0], "organizations": names})
    hint = "looked in the organization `larkspur`; `--org` chooses another of yours: `umbra`"
    assert aos("agents", "show", RUN).err.splitlines()[1:] == [f"  {hint}"]
    assert json.loads(aos("agents", "show", RUN, "--json").err)["hints"] == [hint]
    peer.give("GET /runs", {"items": []})
    assert hint in aos("trace", "last").err


def test_a_command_that_is_named_can_be_typed_as_it_stands(aos: Cli, peer: Peer) -> None:
    aos.program = "./aos"
    assert "`./aos up`" in aos("agents", "list", "--url", "http://127.0.0.1:1").err
    peer.give("POST /runs", {"id": RUN})
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "running", "approvals": [{"id": APPROVAL, "status": "pending"}]})
    waits = aos("run", "month-end", "--no-wait", "--org", "larkspur & sons")
    assert "`./aos approvals list --org 'larkspur & sons'`" in waits.err


def test_a_refusal_that_waits_for_an_approval_exits_with_5(aos: Cli, peer: Peer) -> None:
    peer.refuse("POST /runs", 403, "Approval pending", approval_id=APPROVAL)
    assert aos("run", "month-end").status == 5


def test_the_fields_of_a_problem_are_named(aos: Cli, peer: Peer) -> None:
    peer.refuse(
        "POST /agents", 400, "Invalid request", errors=[{"pointer": "/name", "detail": "is too long"}], reasons=["r1"]
    )
    assert aos("agents", "register", "finance").err.splitlines()[1:] == ["  /name: is too long", "  r1"]


def test_a_server_that_is_not_there_is_said_so(aos: Cli, peer: Peer) -> None:
    done = aos("agents", "list", "--url", "http://127.0.0.1:1")
    assert done.status == 7
    assert "aos up" in done.err


def test_an_answer_that_is_not_aos_is_said_so(aos: Cli, peer: Peer) -> None:
    peer.give("GET /agents", b"<html>", type="text/html")
    peer.give("GET /agents", b"<html>", status=502, type="text/html")
    assert [aos("agents", "list").status for _ in range(2)] == [1, 1]


@pytest.mark.parametrize(
    "wrong", [["agent"], ["agents", "lst"], ["frobnicate"], ["runs", "list", "-n", "x"], ["trace", "--only", "x"]]
)
def test_a_wrong_command_exits_with_2_and_asks_nothing(wrong: list[str], aos: Cli, peer: Peer) -> None:
    done = aos(*wrong)
    assert (done.status, done.out, peer.asked) == (2, "", [])
    assert done.err.startswith("Usage:")


def test_global_options_may_stand_anywhere(aos: Cli, peer: Peer) -> None:
    peer.give("GET /agents", {"items": [], "next": None})
    assert aos("agents", "--json", "list", "--org", "larkspur").json == {"items": []}
    assert peer.asked[0].headers["aos-organization"] == "larkspur"
    assert peer.asked[0].headers["authorization"] == "Bearer aosp_test"


@pytest.mark.parametrize(
    ("arguments", "request_", "body"),
    [
        (["agents", "pause", "finance"], "POST /agents/finance/pause", {}),
        (["agents", "kill", "a/b"], "POST /agents/a%2Fb/kill", {}),
        (["agents", "retire", "finance", "--yes"], "DELETE /agents/finance", None),
        (["agents", "register", "ops", "--type", "observer"], "POST /agents", {"name": "ops", "type": "observer"}),
        (["runs", "cancel", RUN], f"POST /runs/{RUN}/cancel", {}),
        (["runs", "pause", RUN], f"POST /runs/{RUN}/pause", {}),
        (["runs", "resume", RUN], f"POST /runs/{RUN}/resume", {}),
        (["runs", "rollback", RUN], f"POST /runs/{RUN}/rollback", {}),
        (["runs", "fork", RUN, "--from", "pay"], f"POST /runs/{RUN}/fork", {"task": "pay"}),
        (["runs", "fork", RUN, "--from", "pay", "-i", "7"], f"POST /runs/{RUN}/fork", {"task": "pay", "input": 7}),
        (["runs", "retry", RUN, "pay[3]"], f"POST /runs/{RUN}/retry", {"task": "pay[3]"}),
        (["runs", "priority", RUN, "-5"], f"PATCH /runs/{RUN}", {"priority": -5}),
        (
            ["runs", "signal", RUN, "go", "--value", "[1]", "--key", "k"],
            f"POST /runs/{RUN}/signals",
            {"name": "go", "value": [1], "key": "k"},
        ),
        (
            ["people", "invite", "a@b.example", "-r", "viewer"],
            "POST /people",
            {"email": "a@b.example", "roles": ["viewer"]},
        ),
        (["people", "assign", "a@b.example", "viewer"], "POST /people/a%40b.example/roles", {"role": "viewer"}),
        (["people", "unassign", "a@b.example", "viewer"], "DELETE /people/a%40b.example/roles/viewer", None),
        (["tokens", "create", "ci"], "POST /tokens", {"label": "ci", "expires_days": 90}),
        (["tokens", "revoke", RUN], f"DELETE /tokens/{RUN}", None),
    ],
)
def test_a_verb_sends_what_the_contract_names(
    arguments: list[str], request_: str, body: Any, aos: Cli, peer: Peer
) -> None:
    peer.give(request_, {"id": RUN, "status": "paused", "token": "aosp_x"})
    assert aos(*arguments).status == 0
    assert peer.bodies(request_) == [body]
    assert ("idempotency-key" in peer.asked[0].headers) == request_.startswith("POST")


@pytest.mark.parametrize(("verb", "request_"), [("set", "POST /secrets"), ("rotate", "PUT /secrets/erp")])
def test_a_secret_comes_from_standard_input_and_is_never_shown(
    verb: str, request_: str, aos: Cli, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.give(request_, {"name": "erp", "version": 1})
    for given, status in ((b"hush\n", 0), (b"", 2), (b"\xff", 2), (b"x" * 70_000, 2)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        done = aos("secrets", verb, "erp", "--json")
        assert done.status == status
        assert "hush" not in done.out + done.err
    assert [each["value"] for each in peer.bodies(request_)] == ["hush"]


def test_the_environment_of_an_agent_can_be_evaluated_by_a_shell(aos: Cli, peer: Peer) -> None:
    peer.give("POST /agents/finance/api-keys", {"api_key": "aos_x'y; rm"})
    lines = aos("agents", "env", "finance").out.splitlines()
    key = """'aos_x'"'"'y; rm'"""
    assert lines == [
        f"export AOS_URL={peer.url}",
        f"export AOS_API_KEY={key}",
        "export AOS_AGENT=finance",
        f"export OPENAI_BASE_URL={peer.url}/v1",
        f"export OPENAI_API_KEY={key}",
        f"export ANTHROPIC_BASE_URL={peer.url}",
        f"export ANTHROPIC_API_KEY={key}",
    ]


def test_the_environment_of_an_agent_has_one_key_however_often_it_is_asked_for(aos: Cli, peer: Peer) -> None:
    path = "agents/finance/api-keys"
    for number in (1, 2, 3):
        peer.give(f"POST /{path}", {"id": f"{RUN[:-1]}{number}", "api_key": f"aos_{number}", "agent": "finance"})
    standing = {"created_at": "2026-03-31T11:57:00Z", "revoked_at": None, "expires_at": None}
    peer.give(f"GET /{path}", {"items": [{**standing, "id": f"{RUN[:-1]}{n}"} for n in (1, 2)], "next": None})

    def key(*more: str) -> str:
        return str(aos("agents", "env", "finance", "--json", *more).json["AOS_API_KEY"])

    assert [key(), key(), key("--new"), key()] == ["aos_1", "aos_1", "aos_2", "aos_2"]
    assert "made 3m ago; --new makes another" in aos("agents", "env", "finance").err
    assert (aos.home / "credentials.json").stat().st_mode & 0o077 == 0
    peer.answers[f"GET /{path}"] = []
    gone = {**standing, "id": f"{RUN[:-1]}2", "revoked_at": "2026-03-31T11:59:00Z"}
    peer.give(f"GET /{path}", {"items": [gone], "next": None})
    assert key() == "aos_3", "one that was revoked is not printed again"


def test_a_run_goes_on_in_the_thread_that_is_named(aos: Cli, peer: Peer) -> None:
    peer.give("POST /runs", {"id": RUN, "state": "running"}, status=201)
    aos("run", "desk", "--thread", "maria", "--detach")
    assert peer.bodies("POST /runs") == [{"workflow": "desk", "thread": "maria"}]


@pytest.mark.parametrize(
    ("presence", "told"),
    [
        ({"presence": "never", "last_seen_at": None}, "courier runs elsewhere and never connected: the run waits"),
        ({"presence": "away", "last_seen_at": "2026-03-31T11:57:00Z"}, "was last here 3m ago: the run waits"),
        ({"presence": "here", "last_seen_at": "2026-03-31T11:59:59Z"}, ""),
        ({"presence": None}, ""),
    ],
)
def test_a_run_of_an_agent_that_is_not_there_says_that_it_waits_for_it(
    presence: dict[str, Any], told: str, aos: Cli, peer: Peer
) -> None:
    peer.refuse("POST /runs", 404, "Not found")
    peer.give("POST /runs", {"id": RUN, "state": "running", "agent": "courier"}, status=201)
    peer.give("GET /agents/courier", {"id": RUN, "name": "courier", **presence})
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "succeeded", "tasks": []})
    said = aos("run", "courier").err
    assert told in said
    assert ("elsewhere" in said) == bool(told)


def test_a_server_is_restarted_by_its_name(aos: Cli, peer: Peer) -> None:
    peer.give("POST /mcp-servers/files/restart", {"name": "files"})
    assert aos("mcp-servers", "restart", "files").out.strip() == "MCP server files is begun anew at its next call"


def test_a_run_is_followed_to_its_result(aos: Cli, peer: Peer) -> None:
    peer.refuse("POST /runs", 404, "Not found")
    peer.give("POST /runs", {"id": RUN, "state": "running"}, status=201)
    peer.give(
        f"GET /runs/{RUN}", {"id": RUN, "state": "running", "tasks": [{"id": "t1", "label": "match", "state": "ready"}]}
    )
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "succeeded", "output": {"paid": 3}})
    stream = events(
        ("event", {"kind": "task.started", "task": {"id": "t1", "label": "match"}}),
        ("event", {"kind": "act.performed", "task": {"id": "t1"}, "action": {"kind": "tool", "name": "erp.list"}}),
        ("event", {"kind": "task.finished", "task": {"id": "t1"}, "status": "succeeded"}),
        ("event", {"kind": "run.finished", "status": "succeeded"}),
    )
    peer.give(f"GET /runs/{RUN}/events", stream, type="text/event-stream")
    done = aos("run", "finance", "--input", '{"month": "2026-03"}', "--label", "by=test")
    assert done.status == 0, done.err
    assert json.loads(done.out) == {"paid": 3}
    assert done.err.splitlines() == [f"run {RUN}", "match: running", "match: succeeded"]
    assert peer.bodies("POST /runs") == [
        {"workflow": "finance", "input": {"month": "2026-03"}, "labels": {"by": "test"}},
        {"agent": "finance", "input": {"month": "2026-03"}, "labels": {"by": "test"}},
    ]


def test_a_detached_run_prints_its_id(aos: Cli, peer: Peer) -> None:
    peer.give("POST /runs", {"id": RUN, "state": "running"}, status=201)
    assert aos("run", "month-end", "--detach").out == f"{RUN}\n"


@pytest.mark.parametrize("given", ["{", "@/nowhere.json", "[" * 100_000])
def test_an_input_that_is_not_json_exits_with_2(given: str, aos: Cli, peer: Peer) -> None:
    done = aos("run", "month-end", "--input", given)
    assert (done.status, peer.asked) == (2, [])


def test_the_newest_run_is_called_last_and_ids_may_be_cut(aos: Cli, peer: Peer) -> None:
    peer.give("GET /runs", {"items": [{"id": RUN}], "next": None})
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "succeeded"})
    assert [aos("runs", "show", key).status for key in ("last", "00aa")] == [0, 0]
    peer.answers["GET /runs"] = [
        (200, "application/json", {"items": [{"id": RUN}, {"id": "1" + RUN[1:]}], "next": None})
    ]
    assert "2 ids" in aos("runs", "show", "00aa").err


def test_an_approval_is_answered_with_the_digest_of_what_was_shown(aos: Cli, peer: Peer) -> None:
    shown = {"id": APPROVAL, "status": "pending", "digest": "abc", "act": {"action": "tool:payments.create"}}
    peer.give(f"GET /approvals/{APPROVAL}", shown)
    peer.give(f"POST /approvals/{APPROVAL}/approve", {"status": "approved"})
    peer.give(f"POST /approvals/{APPROVAL}/deny", {"status": "denied"})
    assert aos("approvals", "approve", APPROVAL).status == 0
    assert aos("approvals", "deny", APPROVAL, "-m", "no", "--suggest", '{"amount": "1"}').status == 0
    assert aos("approvals", "deny", APPROVAL).status == 2
    assert peer.bodies(f"POST /approvals/{APPROVAL}/approve") == [{"digest": "abc"}]
    assert peer.bodies(f"POST /approvals/{APPROVAL}/deny") == [{"comment": "no", "suggested_args": {"amount": "1"}}]


TREE = {
    "id": RUN,
    "run": {"id": RUN, "name": "month-end", "state": "succeeded"},
    "actions": [],
    "tasks": [
        {
            "task": {"id": "t1", "label": "match", "agent": "finance", "state": "succeeded"},
            "actions": [
                {"kind": "tool", "name": "erp.list", "decision": {"outcome": "allow"}, "state": "performed"},
                {
                    "kind": "tool",
                    "name": "erp.pay",
                    "subject": "erp.pay: invoice INV-7",
                    "state": "performed",
                    "decision": {
                        "outcome": "allow",
                        "rules": [{"id": "large", "version": 1, "outcome": "escalate", "satisfied": True}],
                    },
                    "approval": {"id": APPROVAL, "status": "used", "answered_by": "tomas@larkspur.example"},
                },
            ],
            "tasks": [],
        },
        {
            "task": {"id": "t2", "label": "pay", "agent": "finance", "state": "succeeded"},
            "actions": [
                {
                    "kind": "tool",
                    "name": "payments.create",
                    "state": "refused",
                    "decision": {
                        "outcome": "deny",
                        "reason": "changed account",
                        "rules": [{"id": "origin", "version": 2, "outcome": "deny"}],
                    },
                }
            ],
            "tasks": [],
        },
    ],
}


def test_a_trace_shows_who_was_refused_what_and_by_which_rule(aos: Cli, peer: Peer) -> None:
    peer.give("GET /runs", {"items": [{"id": RUN}], "next": None})
    peer.give(f"GET /traces/{RUN}/tree", TREE)
    whole, refused = aos("trace").out, aos("trace", "last", "--only", "refused").out
    assert "erp.list" in whole
    assert "erp.list" not in refused
    for text in ("payments.create", "deny", "refused", "changed account", "rule origin v2"):
        assert text in refused
    assert "month-end" in refused
    assert "tool:erp.pay  invoice INV-7  allow" in whole
    assert re.search(r"rule large v1 +escalate +approved by tomas@larkspur.example\n", whole)
    pruned = aos("trace", "--only", "refused", "--json").json
    assert [each["task"]["label"] for each in pruned["tasks"]] == ["pay"]


def test_why_a_run_failed_stands_in_its_trace_and_beneath_its_acts(aos: Cli, peer: Peer) -> None:
    run = {
        "id": RUN,
        "name": "month-end",
        "state": "failed",
        "error": "task-failed",
        "finished_at": "2026-03-31T11:59:00Z",
    }
    task = {"id": "t1", "label": "match", "state": "failed", "error": "tool-failed", "detail": "the books are locked"}
    act = {"id": "a1", "kind": "tool", "name": "erp.list", "state": "unknown", "error": "worker-gone", "summary": "cut off",
           "decision": {"outcome": "allow", "reason": "allowed by a rule"}}  # fmt: skip
    peer.give(
        f"GET /traces/{RUN}/tree", {"id": RUN, "run": run, "tasks": [{"task": task, "actions": [act], "tasks": []}]}
    )
    traced = aos("trace", RUN).out
    for text in ("month-end  failed  task-failed", "tool-failed: the books are locked", "worker-gone: cut off"):
        assert text in traced
    peer.give("GET /actions", {"items": [act]})
    peer.give(f"GET /runs/{RUN}", {**run, "tasks": {"items": [task]}})
    assert aos("logs", RUN).out.splitlines()[1:] == [
        "match  failed  tool-failed: the books are locked",
        f"2026-03-31 11:59:00  run {RUN[-8:]}  failed  task-failed",
    ]
    assert [each["id"] for each in aos("logs", RUN, "--json").json["items"]] == ["a1"]


def test_usage_and_explanations_are_shown(aos: Cli, peer: Peer) -> None:
    cost = {"amount": "1234.00105", "currency": "EUR"}
    group = {"key": "x", "name": "finance", "tool_calls": 3, "runtime_seconds": 61.4, "cost": cost}
    peer.give("GET /usage", {"by": "agent", "items": [group], "totals": {"tool_calls": 3, "cost": cost}, "next": None})
    rows = [line.split() for line in aos("usage", "--by", "agent").out.splitlines()]
    assert rows[1] == ["finance", "1m", "1s", "3", "1,234.0010", "EUR"], "as the console shows it"
    assert rows[2][0] == "total"
    peer.give("GET /policies/explain", {"rules": [{"id": "large", "outcome": "escalate"}], "default": "deny"})
    for command in (["explain"], ["policy", "explain"]):
        assert "rule large" in aos(*command, "finance", "tool:payments.create").out


@pytest.mark.parametrize(
    "command",
    [
        ["agents", "show", "finance"], ["agents", "pause", "finance"], ["agents", "env", "finance"],
        ["agents", "keys", "finance"], ["people", "list"], ["tokens", "create"], ["whoami"], ["usage"],
        ["runs", "list"], ["runs", "show", RUN], ["runs", "pause", RUN], ["run", "x", "--detach"], ["logs", RUN],
        ["approvals", "list"], ["approvals", "show", APPROVAL], ["explain", "a", "tool:x"], ["trace", RUN],
    ],
)  # fmt: skip
def test_every_answer_is_json_where_json_is_asked_for(command: list[str], aos: Cli, peer: Peer) -> None:
    listed = {"items": [{"id": RUN, "state": "running"}], "next": None}
    for path in ("agents/finance/api-keys", "people", "usage", "runs", "approvals", "actions"):
        peer.give(f"GET /{path}", listed)
    for path in (
        "agents/finance",
        "whoami",
        f"runs/{RUN}",
        f"approvals/{APPROVAL}",
        "policies/explain",
        f"traces/{RUN}/tree",
    ):
        peer.give(f"GET /{path}", {"id": RUN, "state": "running"})
    for path in ("agents/finance/pause", "agents/finance/api-keys", "tokens", f"runs/{RUN}/pause", "runs"):
        peer.give(f"POST /{path}", {"id": RUN, "token": "t", "api_key": "k"})
    done = aos(*command, "--json")
    assert (done.status, done.err) == (0, "")
    assert isinstance(done.json, dict)


def test_a_yes_that_another_role_must_join_says_which(aos: Cli, peer: Peer) -> None:
    shown = {
        "id": APPROVAL,
        "status": "pending",
        "act": "pay",
        "digest": "d",
        "roles": ["approver", "auditor"],
        "roles_left": ["auditor"],
        "answers": [{"answered_by": "anna@larkspur.example", "roles": ["approver"], "answered_at": None}],
    }
    peer.give(f"GET /approvals/{APPROVAL}", shown)
    peer.give(f"POST /approvals/{APPROVAL}/approve", shown)
    peer.give("GET /approvals", {"items": [shown], "next": None})
    assert "your yes is kept; it still waits for auditor" in aos("approvals", "approve", APPROVAL).out
    watched = aos("approvals", "watch", "--once").out
    assert "needs a yes from auditor; anna@larkspur.example said yes" in watched
