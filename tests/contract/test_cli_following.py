"""Who follows a run is told how it goes on and what it waits for, over streams that break, to an exit status."""

from __future__ import annotations

from tests.contract.cli_peer import Cli, Peer, events

RUN = "01998a3e-0000-7000-8000-0000000000aa"
APPROVAL = "01998a3e-0000-7000-8000-0000000000bb"


def test_a_stream_that_breaks_is_taken_up_where_it_ended(aos: Cli, peer: Peer) -> None:
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "running"})
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "running"})
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "succeeded"})
    peer.give(f"GET /runs/{RUN}/events", events(("event", {"kind": "task.started"})), type="text/event-stream")
    peer.refuse(f"GET /runs/{RUN}/events", 503, "Unavailable")
    assert aos("runs", "wait", RUN, "--json").json["state"] == "succeeded"
    asked = [each.headers.get("last-event-id") for each in peer.asked if each.path.endswith("/events")]
    assert asked == [None, "1"]


def test_a_run_that_fails_exits_with_1_and_one_that_waits_with_5(aos: Cli, peer: Peer) -> None:
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "failed", "error_code": "tool-failed"})
    failed = aos("runs", "wait", RUN)
    assert (failed.status, "tool-failed" in failed.err) == (1, True)

    peer.answers.clear()
    waiting = [{"id": APPROVAL, "status": "pending"}]
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "running", "approvals": waiting})
    assert aos("runs", "wait", RUN, "--no-wait").status == 5


def test_who_follows_a_run_where_nobody_can_be_asked_is_told_once_what_it_waits_for(aos: Cli, peer: Peer) -> None:
    task = {"id": RUN, "label": "pay", "state": "waiting", "waits_for": "approval"}
    held = {"id": RUN, "state": "running", "tasks": [task], "approvals": [{"id": APPROVAL, "status": "pending"}]}
    for each in (held, held, {"id": RUN, "state": "succeeded"}):
        peer.give(f"GET /runs/{RUN}", each)
    peer.give(f"GET /runs/{RUN}/events", events(("event", {"kind": "task.parked"})), type="text/event-stream")
    told = aos("runs", "wait", RUN).err
    assert told.count(f"approvals show {APPROVAL}") == 1
    assert "pay: waiting for approval" in told
