"""What `aos` tells of runs: which task failed one, in which order things happened, and which run is the last."""

from __future__ import annotations

from tests.contract.cli_peer import Cli, Peer, events

RUN = "01998a3e-0000-7000-8000-0000000000aa"


def test_a_failed_run_names_the_task_that_failed_it(aos: Cli, peer: Peer) -> None:
    told = {"state": "failed", "error": "raised"}
    tasks = [
        {"id": "t1", "label": "a", "detail": "tolerated", "tolerated": True, **told},
        {"id": "t3", "label": "spawned", "detail": "caught", "parent_id": "t2", "tolerated": False, **told},
        {"id": "t2", "label": "z", "detail": "the cause", "parent_id": None, "tolerated": False, **told},
    ]
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "failed", "error": "raised", "tasks": tasks})
    assert aos("runs", "wait", RUN).err.splitlines()[-1].endswith("raised; z: the cause")


def test_what_happened_before_it_was_read_is_told_in_its_order(aos: Cli, peer: Peer) -> None:
    task = {"id": "t1", "label": "go", "state": "failed", "started_at": "2026-01-01T10:00:01.5Z"}
    first = {"id": "t0", "label": "first", "state": "succeeded", "started_at": "2026-01-01T10:00:00Z"}
    tasks = [
        {**task, "finished_at": "2026-01-01T10:00:03Z"},
        {**first, "finished_at": "2026-01-01T10:00:01Z"},
    ]
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "running", "tasks": tasks})
    stream = events(
        ("event", {"kind": "task.started", "at": "2026-01-01T10:00:01.5Z", "task": {"id": "t1", "label": "go"}}),
        ("event", {"kind": "run.finished", "status": "failed"}),
    )
    peer.give(f"GET /runs/{RUN}/events", stream, type="text/event-stream")
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "failed", "tasks": tasks})
    lines = aos("runs", "wait", RUN).err.splitlines()
    assert lines[:4] == ["first: running", "first: succeeded", "go: running", "go: failed"]
    assert not any(line.startswith("go:") for line in lines[4:])


def test_a_task_that_waits_for_a_signal_is_shown_with_its_name(aos: Cli, peer: Peer) -> None:
    task = {"id": "t1", "label": "go", "state": "waiting", "waits_for": "signal", "signals": ["close-month"]}
    run = {"id": RUN, "name": "month-end", "state": "running"}
    peer.give(f"GET /runs/{RUN}", {**run, "tasks": [task]})
    peer.give(f"GET /traces/{RUN}/tree", {"id": RUN, "run": run, "tasks": [{"task": task, "actions": []}]})
    assert "go  waiting  for signal close-month" in aos("runs", "show", RUN).out
    assert "go  waiting  for signal close-month" in aos("trace", RUN).out


def test_an_empty_id_is_a_wrong_line(aos: Cli, peer: Peer) -> None:
    for line in (["runs", "show", ""], ["agents", "show", ""], ["approvals", "approve", ""]):
        assert (aos(*line).status, peer.asked) == (2, [])


def test_last_is_the_newest_run_that_no_other_run_started(aos: Cli, peer: Peer) -> None:
    peer.give("GET /runs", {"items": [{"id": RUN}], "next": "more"})
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "succeeded"})
    assert aos("runs", "show", "last").status == 0
    asked = peer.asked[0].query
    assert (asked["top"], asked["order"], asked["limit"]) == ("true", "-created", "1")


def test_last_is_the_newest_of_all_where_every_run_was_started_by_another(aos: Cli, peer: Peer) -> None:
    peer.give("GET /runs", {"items": [], "next": None})
    peer.give("GET /runs", {"items": [{"id": RUN, "undoes_id": "x"}], "next": None})
    peer.give(f"GET /runs/{RUN}", {"id": RUN, "state": "succeeded"})
    assert aos("runs", "show", "last").status == 0
    assert "top" not in peer.asked[1].query
