"""Passes replayed in real hosts: what is recorded comes back, what is not is performed, and nothing happens twice."""

from __future__ import annotations

import asyncio

import pytest

from aos_sdk.frames import CallError
from tests.contract.sdk_owner import Owner, fail, open_pool

BOTH = pytest.mark.parametrize("colour", ["", "_async"])


def wait_for(name, ready):
    """Decide that `name` waits until `ready` holds something."""
    return lambda call: ("waiting", None) if call.name == name and not ready else ("performed", call.name)


def test_a_function_is_told_of_its_task():
    async def case():
        async with open_pool() as pool:
            ended = await Owner("sdk_agents:facts", input={"month": "2026-01"}).run(pool)
            assert ended.value == [
                {"month": "2026-01"},
                "task-1",
                "run-1",
                "close",
                "sample",
                1,
                1,
                "close the month",
                [{"name": "on time"}],
                {"month": "2026-01"},
                "2026-01-31T10:00:00+01:00",
                "token-task-1",
            ]

    asyncio.run(case())


@BOTH
def test_a_call_that_must_wait_suspends_the_pass_and_the_next_pass_resumes_it(colour):
    async def case():
        async with open_pool() as pool:
            ready: list = []
            owner = Owner(f"sdk_agents:pays_after_approval{colour}", decide=wait_for("payments.create", ready))
            first = await owner.run(pool)
            assert (first.outcome, len(first.waiting_on)) == ("suspended", 1)
            assert first.waiting_on[0] == owner.calls[1].key
            ready.append(True)
            second = await owner.run(pool)
            assert (second.outcome, second.value) == ("returned", ["erp.read", "payments.create"])
            assert [call.name for call in owner.calls] == ["erp.read", "payments.create", "payments.create"]
            assert owner.calls[1].key == owner.calls[2].key
            assert owner.unreached(second) == []

    asyncio.run(case())


@BOTH
def test_a_retry_inside_the_function_keeps_its_key_and_counts_its_tries(colour):
    async def case():
        async with open_pool() as pool:
            outcomes = iter([("failed", fail()), ("refused", CallError("denied")), ("performed", "paid")])

            def decide(call):
                return next(outcomes) if call.name == "payments.create" else ("performed", None)

            owner = Owner("sdk_agents:retries", decide=decide)
            owner.entry = f"sdk_agents:retries{colour}"
            ended = await owner.run(pool)
            assert ended.outcome == "raised"
            assert ended.error.type == "Denied"
            payments = [call for call in owner.calls if call.name == "payments.create"]
            assert len({call.key for call in payments}) == 1
            assert [call.tries for call in payments] == [0, 1]

    asyncio.run(case())


@BOTH
def test_a_call_that_failed_once_and_was_then_performed_is_not_made_again_after_the_host_is_killed(colour):
    async def case():
        async with open_pool() as pool:
            failures = [fail()]

            def decide(call):
                if call.name == "payments.create" and failures:
                    return "failed", failures.pop()
                return "performed", "done"

            owner = Owner(f"sdk_agents:retries{colour}", decide=decide)
            held = asyncio.Event()

            async def hold_second(call):
                if call.name == "payments.create" and call.tries == 1 and not held.is_set():
                    owner.record(call, "performed", "paid", None)
                    owner.effects[call.key] += 1
                    held.set()
                    pool.kill(pool.hosts()[0].host_id)

            owner.before = hold_second
            died = await owner.run(pool)
            assert died.counted is False
            ended = await owner.run(pool)
            assert (ended.outcome, ended.value) == ("returned", "paid")
            assert list(owner.effects.values()) == [1, 1]
            assert [(record.kind, record.tries, record.state) for record in owner.journal] == [
                ("tool", 0, "failed"),
                ("report", 0, "performed"),
                ("tool", 1, "performed"),
            ]

    asyncio.run(case())


def test_two_calls_alike_are_two_calls():
    async def case():
        async with open_pool() as pool:
            owner = Owner("sdk_agents:twice_the_same")
            assert (await owner.run(pool)).outcome == "returned"
            assert len(owner.effects) == 2

    asyncio.run(case())


def test_an_explicit_key_names_one_call_for_ever():
    async def case():
        async with open_pool() as pool:
            owner = Owner("sdk_agents:one_key_twice", decide=lambda call: ("performed", len(owner.calls)))
            assert (await owner.run(pool)).value == [1, 1]
            assert [call.key for call in owner.calls] == ["salary"]
            ended = await Owner("sdk_agents:one_key_for_two_calls", task_id="other").run(pool)
            assert ended.error.type == "InvalidCall"
            assert "already names a call" in ended.error.message

    asyncio.run(case())


def test_each_way_of_failing_is_an_error_of_its_own():
    async def case():
        errors = {
            "denied": ("refused", CallError("denied", detail="no", reasons=["too much"], rule="large-payments")),
            "budget": ("refused", CallError("budget-spent", detail="no room")),
            "failed": ("failed", fail()),
            "unavailable": ("failed", CallError("unavailable", detail="gone")),
            "unknown": ("unknown", CallError("outcome-unknown", detail="who knows")),
        }
        async with open_pool() as pool:
            owner = Owner("sdk_agents:meets_every_error", decide=lambda call: errors[call.name])
            ended = await owner.run(pool)
            assert ended.value == [
                ["Denied", "denied", "large-payments", ["too much"]],
                ["BudgetSpent", "budget-spent", None, []],
                ["ToolFailed", "tool-failed", None, []],
                ["Unavailable", "unavailable", None, []],
                ["OutcomeUnknown", "outcome-unknown", None, []],
                ["OutcomeUnknown", "outcome-unknown", None, []],
            ]
            assert [call.name for call in owner.calls].count("unknown") == 1

    asyncio.run(case())


def test_a_new_attempt_keeps_what_was_performed_and_makes_what_failed_again():
    async def case():
        async with open_pool() as pool:
            broken = [True]

            def decide(call):
                failing = call.name == "payments.create" and broken
                return ("failed", fail("tool-failed")) if failing else ("performed", call.name)

            owner = Owner("sdk_agents:pays_after_approval", decide=decide)
            assert (await owner.run(pool)).outcome == "raised"
            owner.next_attempt()
            broken.clear()
            ended = await owner.run(pool)
            assert ended.value == ["erp.read", "payments.create"]
            assert [call.name for call in owner.calls] == ["erp.read", "payments.create", "payments.create"]

    asyncio.run(case())


@pytest.mark.parametrize("entry", ["waits_in_a_task_group", "waits_in_gather"])
def test_calls_that_wait_beside_each_other_park_and_all_resume(entry):
    async def case():
        async with open_pool() as pool:
            ready = set()

            def decide(call):
                amount = call.arguments["amount"]
                return ("performed", amount) if amount < 2 or amount in ready else ("waiting", None)

            owner = Owner(f"sdk_agents:{entry}", decide=decide)
            first = await owner.run(pool)
            assert (first.outcome, len(first.waiting_on)) == ("suspended", 4)
            ready |= {3}
            assert len((await owner.run(pool)).waiting_on) == 3
            ready |= {2, 4, 5}
            assert (await owner.run(pool)).value == list(range(6))
            assert set(owner.effects.values()) == {1}

    asyncio.run(case())


def test_a_parked_call_does_not_stop_its_siblings_and_a_running_step_is_waited_for():
    async def case():
        async with open_pool() as pool:
            ready: list = []
            owner = Owner("sdk_agents:finishes_siblings_before_parking", decide=wait_for("payments.create", ready))
            assert (await owner.run(pool)).outcome == "suspended"
            assert [record.kind for record in owner.journal] == ["tool"] * 4 + ["step"]
            ready.append(True)
            ended = await owner.run(pool)
            assert ended.value == ["payments.create", "slept"]

    asyncio.run(case())


def test_a_call_inside_a_step_that_waits_parks_the_step_too():
    async def case():
        async with open_pool() as pool:
            ready: list = []
            owner = Owner("sdk_agents:waits_inside_a_step", decide=wait_for("payments.create", ready))
            assert (await owner.run(pool)).outcome == "suspended"
            ready.append(True)
            assert (await owner.run(pool)).value == "payments.create"
            assert list(owner.effects.values()) == [1]

    asyncio.run(case())


def test_recorded_outcomes_come_back_in_the_order_of_recording():
    async def case():
        async with open_pool() as pool:
            ready: list = []
            outcomes = iter(["failed", "failed", "performed", "performed"])

            def decide(call):
                if call.name == "flaky":
                    return next(outcomes), "ok"
                return ("performed", None) if ready else ("waiting", None)

            async def second_first(call):
                if call.name == "flaky" and len(owner.calls) == 1:
                    await asyncio.sleep(0.05)

            owner = Owner("sdk_agents:races_two_retries", decide=decide, before=second_first)
            assert (await owner.run(pool)).outcome == "suspended"
            ready.append(True)
            owner.before = None
            ended = await owner.run(pool)
            assert ended.value == ["b failed", "b failed", "b", "a"]
            assert owner.unreached(ended) == []

    asyncio.run(case())


def test_an_outcome_is_handed_over_when_all_has_reacted_to_the_one_before():
    async def case():
        async with open_pool() as pool:
            ready: list = []

            async def a_first(call):
                if call.name == "b":
                    await asyncio.sleep(0.05)

            owner = Owner("sdk_agents:reacts_through_layers", decide=wait_for("payments.create", ready), before=a_first)
            assert (await owner.run(pool)).outcome == "suspended"
            assert len(owner.journal) == 2
            ready.append(True)
            assert (await owner.run(pool)).value == ["a", "b"]

    asyncio.run(case())


@BOTH
def test_from_the_signal_on_no_call_of_the_pass_reaches_the_owner(colour):
    async def case():
        lines: list = []
        async with open_pool(on_line=lambda line: lines.append(line.text)) as pool:
            owner = Owner(f"sdk_agents:stubborn{colour}", decide=lambda call: ("waiting", None))
            ended = await owner.run(pool)
            assert (ended.outcome, ended.value) == ("suspended", None)
            assert [call.name for call in owner.calls] == ["payments.create"]
        signals = ["Suspended"] * 5 if not colour else ["CancelledError"] * 2
        assert lines == [f"latched {' '.join(signals)}"]

    asyncio.run(case())


def test_threads_of_a_synchronous_function_may_call_beside_each_other():
    async def case():
        async with open_pool() as pool:
            owner = Owner("sdk_agents:calls_in_threads")
            assert (await owner.run(pool)).value == list(range(8))

    asyncio.run(case())


def test_a_host_whose_function_left_a_thread_in_a_call_takes_no_more_work():
    async def case():
        async with open_pool() as pool:
            gate = asyncio.Event()

            async def hold(call):
                if call.name == "after":
                    await gate.wait()

            owner = Owner("sdk_agents:leaves_a_thread_behind", before=hold)
            asyncio.get_running_loop().call_later(0.3, gate.set)
            before = pool.hosts()[0].host_id
            assert (await owner.run(pool)).outcome == "returned"
            assert (await Owner("sdk_agents:nothing", task_id="next").run(pool)).outcome == "returned"
            assert before not in [host.host_id for host in pool.hosts()]

    asyncio.run(case())


@BOTH
def test_spawned_tasks_are_waited_for_once(colour):
    async def case():
        async with open_pool() as pool:
            done: list = []

            def decide(call):
                if call.kind == "spawn":
                    return "performed", {"task_id": f"child-{call.arguments['input']['vendor']}"}
                if not done:
                    return "waiting", None
                ids = call.arguments["task_ids"]
                return "performed", [{"task_id": one, "ok": True, "value": one.upper()} for one in ids]

            owner = Owner(f"sdk_agents:spawns{colour}", decide=decide)
            assert (await owner.run(pool)).outcome == "suspended"
            done.append(True)
            ended = await owner.run(pool)
            assert ended.value == [["CHILD-0", "CHILD-1", "CHILD-2"], "CHILD-0"]
            assert [call.kind for call in owner.calls] == ["spawn"] * 3 + ["children"] * 3

    asyncio.run(case())


def test_failed_children_are_named():
    async def case():
        def decide(call):
            if call.kind == "spawn":
                return "performed", {"task_id": call.name}
            return "performed", [
                {"task_id": "a", "ok": True, "value": 1},
                {"task_id": "b", "ok": False, "detail": "sick"},
            ]

        async with open_pool() as pool:
            ended = await Owner("sdk_agents:child_fails", decide=decide).run(pool)
            assert ended.value == ["b", {"b": "sick"}]

    asyncio.run(case())


@BOTH
def test_a_step_runs_once_and_its_failure_is_the_same_on_every_pass(colour):
    async def case():
        lines: list = []
        async with open_pool(on_line=lambda line: lines.append(line.text)) as pool:
            ready: list = []
            owner = Owner(f"sdk_agents:steps{colour}", decide=wait_for("payments.create", ready))
            assert (await owner.run(pool)).outcome == "suspended"
            ready.append(True)
            ended = await owner.run(pool)
            failure = ["ValueError", "breaks", "step `breaks` raised ValueError: no file"]
            assert ended.value == [{"at": 5}, failure, "payments.create"]
            assert owner.unreached(ended) == []
            assert [record.state for record in owner.journal if record.kind == "step"] == ["performed", "failed"]
        assert lines == ["step ran", "breaking"]

    asyncio.run(case())


def test_steps_of_one_name_are_told_apart_by_what_they_are_given_in_whatever_order_an_attempt_comes_to_them():
    async def case():
        async with open_pool() as pool:
            owner = Owner("sdk_agents:steps_beside_each_other")
            assert (await owner.run(pool)).outcome == "raised"
            owner.next_attempt()
            ended = await owner.run(pool)
            assert ended.value == [1, 2]
            assert [record.state for record in owner.journal] == ["performed", "performed"]

    asyncio.run(case())


def test_what_a_pass_no_longer_reaches_is_told(tmp_path):
    async def case():
        async with open_pool(variables={"MARK_FOLDER": str(tmp_path)}) as pool:
            owner = Owner("sdk_agents:changes_its_mind", decide=wait_for("wait", []))
            assert (await owner.run(pool)).outcome == "suspended"
            ended = await owner.run(pool)
            assert (ended.outcome, ended.reached) == ("returned", [])
            assert [record.key for record in owner.unreached(ended)] == [owner.calls[0].key]

    asyncio.run(case())


def test_a_call_that_nobody_could_record_ends_the_pass():
    async def case():
        async with open_pool() as pool:

            def lost(call):
                raise ConnectionError("the database went away")

            with pytest.raises(ConnectionError, match="database"):
                await Owner("sdk_agents:three_calls", before=lost).run(pool)
            assert (await Owner("sdk_agents:three_calls", task_id="next").run(pool)).value == [0, 1, 2]

    asyncio.run(case())


def test_a_stale_claim_ends_the_pass_as_cancelled():
    async def case():
        async with open_pool() as pool:
            owner = Owner("sdk_agents:three_calls", decide=lambda call: ("failed", CallError("stale-claim")))
            assert (await owner.run(pool)).outcome == "cancelled"
            assert len(owner.calls) == 1

    asyncio.run(case())


def test_a_history_larger_than_a_frame_is_replayed():
    async def case():
        async with open_pool() as pool:
            big = "x" * 7_000_000
            owner = Owner("sdk_agents:reads_big_and_waits", decide=wait_for("wait", []))
            owner.decide = lambda call: ("waiting", None) if call.name == "wait" else ("performed", big)
            assert (await owner.run(pool)).outcome == "suspended"
            owner.decide = lambda call: ("performed", None)
            ended = await owner.run(pool)
            assert ended.value == [7_000_000] * 3
            assert [call.name for call in owner.calls] == ["read"] * 3 + ["wait"] * 2

    asyncio.run(case())
