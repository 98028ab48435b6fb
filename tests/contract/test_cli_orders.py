"""`aos runs VERB`: what an order reached is said, and what a rollback left."""

from __future__ import annotations

import json

from tests.contract.cli_peer import Cli, Peer

RUN = "01998a3e-0000-7000-8000-0000000000aa"


def test_an_order_says_what_it_reached(aos: Cli, peer: Peer) -> None:
    at_work = [{"id": RUN, "run_id": RUN, "task": "match"}]
    reached = {"runs": [RUN, "nested"], "tasks": 3, "approvals": 1, "at_work": at_work}
    peer.give(f"POST /runs/{RUN}/cancel", {"id": RUN, "state": "cancelled", "reached": reached})
    peer.give(
        f"POST /runs/{RUN}/pause", {"id": RUN, "state": "paused", "reached": {**reached, "approvals": 0}}, status=202
    )
    end = RUN[-8:]
    cancelled, paused = aos("runs", "cancel", RUN), aos("runs", "pause", RUN)
    assert (
        cancelled.out == f"run {end} is cancelled: 3 open tasks; 1 nested run; 1 approval withdrawn; cut off: match\n"
    )
    told = "3 open tasks; 1 nested run; still at work until their next call: match"
    assert paused.out == f"run {end} is paused: {told}\n"
    assert json.loads(aos("runs", "cancel", RUN, "--json").out)["reached"] == reached


def test_a_rollback_that_is_waited_for_prints_what_was_not_undone(aos: Cli, peer: Peer) -> None:
    undo = {"id": "u-1", "state": "failed", "error": "partly-undone", "tasks": [{"id": "t-1", "label": "undo"}]}
    acts = [{"tool": "payments.create", "action_id": RUN, "detail": "twenty stays paid"}]
    report = {"undone": {"count": 2, "acts": []}, "refused": {"count": 1, "acts": acts}}
    peer.give(f"POST /runs/{RUN}/rollback", {"id": "u-1", "state": "running"}, status=201)
    peer.give("GET /runs/u-1", undo)
    peer.give("GET /runs/u-1/tasks", {"items": [{"id": "t-1"}], "next": None})
    peer.give("GET /runs/u-1/tasks/t-1", {"id": "t-1", "output": report})
    done = aos("runs", "rollback", RUN, "--wait")
    assert done.status == 1
    assert "undone: 2\nrefused: 1\n  payments.create" in done.out
    assert "twenty stays paid" in done.out


def test_a_run_whose_acts_are_undone_says_by_which_run(aos: Cli, peer: Peer) -> None:
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "failed", "error": "x", "undo_due": True, "undone_by": None})
    due = f"what it did is undone by a run that begins by itself: `aos runs show {RUN}` names it"
    assert due in aos("runs", "wait", RUN).err.replace("\n", " ")
    assert due in aos("runs", "show", RUN).out.replace("\n", " ")
    other = f"{RUN[:-2]}bb"
    peer.give(f"GET /runs/{other}", {"id": other, "state": "failed", "error": "x", "undone_by": "u-1"})
    assert "undone by run u-1: see what came of it with `aos runs show u-1`" in aos("runs", "show", other).out
    assert "undone by run u-1" in aos("runs", "wait", other).err


def test_a_run_says_where_it_and_its_forks_stand_apart(aos: Cli, peer: Peer) -> None:
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "cancelled", "undone_by": "u-1", "standing_forks": ["f-1"]})
    assert "forked from it before, and not undone with it: run f-1\n" in aos("runs", "show", RUN).out
    fork = f"{RUN[:-2]}bb"
    peer.give(f"GET /runs/{fork}", {"id": fork, "state": "running", "forked_from_id": RUN, "source_undone_by": "u-1"})
    assert f"forked from run {RUN[-8:]}, which run u-1 undoes since" in aos("runs", "show", fork).out


def test_an_order_that_waits_for_a_person_says_how_to_go_on(aos: Cli, peer: Peer) -> None:
    waits = {"status": "pending", "approval_id": "a-1", "action_id": "x", "reason": "ask first"}
    peer.give(f"POST /runs/{RUN}/rollback", waits, status=202)
    done = aos("runs", "rollback", RUN)
    assert done.status == 5
    assert "`aos approvals approve a-1`" in done.err
    aos("runs", "rollback", RUN, "--approval", "a-1")
    assert peer.asked[-1].query == {"approval_id": "a-1"}
