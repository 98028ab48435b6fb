"""Agents without code: a model led through tools to an answer, in real hosts, durable and within its rights."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import replace
from typing import Any

import pytest

from aos.kernel.agents import AgentType, Runtime
from aos.kernel.dialects.values import Dialect
from aos.kernel.models.values import Capability, Provider
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.workflow.spec import RetrySpec, TaskSpec, WorkflowSpec
from tests.databases import Database
from tests.llm_worlds import ASK, NEVER, SCHEMA, approve, company, last_message, led, play, read
from tests.operations.test_runs_waits import PAYMENT, at_work
from tests.scripted_models import Answer, ScriptedModels, asks_for, chat, model, refusal
from tests.working import add_workflow
from tests.worlds import Caller, make_world, payments, tool


def test_a_model_is_led_through_its_tools_to_an_answer(database: Database) -> None:
    finance = led(
        "finance", "erp.read", "payments.create", options={"instructions": "Be brief."}, goal="Pay what is due"
    )
    answers = [
        asks_for(("erp_read", {"invoice": 1}), ("erp_read", {"invoice": 2}), text="I look first."),
        asks_for(("payments_create", PAYMENT)),
        asks_for(("finish", {"answer": "paid 12"})),
    ]
    run, models, caller = play(company(database, finance), "finance", answers)
    assert (run["state"], run["output"]) == ("succeeded", {"answer": "paid 12"}), run["why"]
    assert [name for name, _, _ in caller.calls] == ["erp.read", "erp.read", "payments.create"]
    first = models.bodies[0]
    assert "Goal: Pay what is due" in first["messages"][0]["content"]
    assert "Be brief." in first["messages"][0]["content"]
    assert first["messages"][1] == {"role": "user", "content": "Do what is due"}
    named = {each["function"]["name"]: each["function"] for each in first["tools"]}
    assert set(named) == {"erp_read", "payments_create", "report", "finish"}
    assert named["erp_read"]["description"] == "Reads one invoice"
    told = [each["content"] for each in models.bodies[1]["messages"] if each["role"] == "tool"]
    assert told == ['{"invoice": 1, "amount": "12"}', '{"invoice": 2, "amount": "12"}']


def test_an_approval_parks_the_loop_and_the_answer_goes_on_without_asking_the_model_again(database: Database) -> None:
    finance = led("finance", "payments.create")
    answers = [asks_for(("payments_create", PAYMENT)), chat("paid")]
    run, models, caller = play(company(database, finance, rules=(ASK,)), "finance", answers, act=approve)
    assert (run["state"], run["output"]) == ("succeeded", {"answer": "paid"}), run["why"]
    assert (len(models.asked), len(caller.calls)) == (2, 1)


def test_a_refusal_is_told_to_the_model_with_its_rule_and_the_loop_goes_on(database: Database) -> None:
    finance = led("finance", "payments.create")
    denied = Rule("small-only", 1, Outcome.DENY, (), ("tool:payments.create",), "args.amount > 10", "only small ones")
    answers = [
        asks_for(("payments_create", PAYMENT)),
        asks_for(("payments_create", {**PAYMENT, "amount": "5"})),
        chat("5 paid"),
    ]
    run, models, caller = play(company(database, finance, rules=(denied,)), "finance", answers)
    assert (run["state"], run["output"]) == ("succeeded", {"answer": "5 paid"}), run["why"]
    assert "small-only: only small ones" in last_message(models, 1)["content"]
    assert [arguments["amount"] for _, arguments, _ in caller.calls] == ["5"]


def test_a_tool_that_nothing_opens_is_not_offered_and_a_call_of_it_is_answered(database: Database) -> None:
    finance = led("finance", "erp.read", "payments.create")
    answers = [asks_for(("payments_create", PAYMENT)), chat("cannot be done")]
    run, models, caller = play(company(database, finance, rules=(NEVER,)), "finance", answers)
    assert run["output"] == {"answer": "cannot be done"}
    assert "payments_create" not in {each["function"]["name"] for each in models.bodies[0]["tools"]}
    assert "there is no tool `payments_create`; there are erp_read, report, finish" in last_message(models)["content"]
    assert caller.calls == []


def test_a_model_without_tool_calls_is_led_by_json(database: Database) -> None:
    finance = led("finance", "erp.read", "payments.create", options={"output": SCHEMA})
    answers = [
        chat('{"tool": "erp_read", "arguments": {"invoice": 1}}'),
        chat('Sure: {"tool": "payments.create", "arguments": {"iban": "DE1", "amount": "1", "currency": "EUR"}}'),
        chat('```json\n{"answer": {"paid": 1}}\n```'),
    ]
    world = company(database, finance, capabilities=(Capability.JSON_SCHEMA,))
    run, models, caller = play(world, "finance", answers)
    assert (run["state"], run["output"]) == ("succeeded", {"paid": 1}), run["why"]
    assert [name for name, _, _ in caller.calls] == ["erp.read", "payments.create"]
    assert all("tools" not in body for body in models.bodies)
    forms = models.bodies[0]["response_format"]["json_schema"]["schema"]["anyOf"]
    assert [form["properties"].get("tool", {}).get("enum") for form in forms] == [
        None,
        ["erp_read"],
        ["payments_create"],
        ["report"],
    ]
    assert last_message(models, 1)["content"].startswith("Result of erp_read: ")


def test_work_is_handed_to_another_agent_and_its_result_comes_back(database: Database) -> None:
    lead = led("lead", type=AgentType.FUNCTIONAL, delegates=("helper",))
    helper = led("helper", "erp.read", type=AgentType.SUB_AGENT, goal="Look invoices up")
    answers = [
        asks_for(("delegate", {"agent": "helper", "task": "look up 7", "input": {"invoice": 7}})),
        chat("7 costs 12"),
        chat("the helper says: 12"),
    ]
    run, models, _ = play(company(database, lead, helper), "lead", answers)
    assert run["output"] == {"answer": "the helper says: 12"}, run["why"]
    assert "- helper: Look invoices up" in models.bodies[0]["messages"][0]["content"]
    assert '"task": "look up 7"' in models.bodies[1]["messages"][1]["content"]
    offered = {each["function"]["name"] for each in models.bodies[1]["tools"]}
    assert offered == {"report", "finish"}, "a sub-agent has no more than who spawned it, and may hand nothing on"
    assert last_message(models)["content"] == '{"answer": "7 costs 12"}'


def test_an_observer_reads_and_reports_and_is_offered_nothing_else(database: Database) -> None:
    watcher = led("watcher", "erp.*", "payments.create", type=AgentType.OBSERVER)
    answers = [
        asks_for(
            ("erp_note", {}), ("report", {"kind": "finding", "value": "odd", "code": "odd-sum", "subject": "invoice:7"})
        ),
        chat("one finding"),
    ]
    run, models, caller = play(company(database, watcher), "watcher", answers)
    assert run["output"] == {"answer": "one finding"}, run["why"]
    assert {each["function"]["name"] for each in models.bodies[0]["tools"]} == {"erp_read", "report", "finish"}
    assert caller.calls == []


def test_a_host_killed_in_the_middle_repeats_no_question_and_no_call(database: Database) -> None:
    finance = led("finance", "erp.read", "payments.create")
    world = company(database, finance)
    models = ScriptedModels(
        [asks_for(("erp_read", {"invoice": 1})), asks_for(("payments_create", PAYMENT)), chat("paid")]
    )
    caller = Caller(read, hold=asyncio.Event())

    async def story() -> None:
        async with at_work(world, caller, models=models) as (aos, pool):
            run_id = await aos.start(agent="finance", input="pay")
            for count in (1, 2):
                async with asyncio.timeout(20):
                    while len(caller.calls) < count:
                        await asyncio.sleep(0.01)
                (busy,) = [host for host in pool.hosts() if host.busy]
                os.kill(busy.pid, signal.SIGKILL)
                assert caller.hold is not None
                caller.hold.set()
                caller.hold = asyncio.Event() if count == 1 else None
            run = await aos.ended(run_id)
            assert (run["state"], run["output"]) == ("succeeded", {"answer": "paid"})
            await aos.check_books()

    asyncio.run(story())
    assert len(models.asked) == 3
    assert [name for name, _, _ in caller.calls] == ["erp.read", "payments.create"]


def test_another_worker_goes_on_at_the_last_turn(database: Database) -> None:
    finance = led("finance", "erp.read", "payments.create")
    world = company(database, finance, rules=(ASK,))
    first = ScriptedModels([asks_for(("erp_read", {"invoice": 1})), asks_for(("payments_create", PAYMENT))])
    second, caller = ScriptedModels([chat("paid")]), Caller(read)

    async def story() -> None:
        async with at_work(world, caller, models=first) as (aos, _):
            run_id = await aos.start(agent="finance", input="pay")
            await aos.until("select 1 from task where state = 'waiting' and waits_for = 'approval'")
        async with at_work(world, caller, models=second) as (aos, _):
            await approve(aos, run_id)
            run = await aos.ended(run_id)
            assert (run["state"], run["output"]) == ("succeeded", {"answer": "paid"})

    asyncio.run(story())
    assert (len(first.asked), len(second.asked)) == (2, 1)
    assert [name for name, _, _ in caller.calls] == ["erp.read", "payments.create"]


def test_the_rules_of_a_task_under_way_are_those_that_it_began_with(database: Database) -> None:
    finance = led("finance", "payments.create", options={"instructions": "Old words."})
    world = company(database, finance, rules=(ASK,))
    models = ScriptedModels([asks_for(("payments_create", PAYMENT)), chat("paid")])

    async def story() -> None:
        async with at_work(world, Caller(read), models=models) as (aos, _):
            run_id = await aos.start(agent="finance", input="pay")
            await aos.until("select 1 from approval where status = 'pending'")
            world.rows(
                "update agent_version set spec = jsonb_set(spec, '{runtime,options,instructions}', '\"New words.\"') returning 1"
            )
            world.rows("update organization set epoch = epoch + 1 returning 1")
            await approve(aos, run_id)
            assert (await aos.ended(run_id))["output"] == {"answer": "paid"}

    asyncio.run(story())
    assert [("Old words." in body["messages"][0]["content"]) for body in models.bodies] == [True, True]


def plan(*tasks: dict[str, Any]) -> Answer:
    return asks_for(("plan", {"tasks": list(tasks)}))


def test_an_executive_plans_delegates_looks_at_kpis_and_plans_anew_within_its_bounds(database: Database) -> None:
    boss = led("boss", type=AgentType.EXECUTIVE, delegates=("reader", "writer"), options={"plans": 2, "plan_tasks": 3})
    reader = led("reader", "erp.read", type=AgentType.SUB_AGENT)
    writer = led("writer", type=AgentType.SUB_AGENT)
    one = {"id": "a", "agent": "reader", "task": "read a"}
    answers: list[Answer] = [
        plan({**one, "after": ["b"]}, {"id": "b", "agent": "reader", "task": "read b", "after": ["a"]}),
        plan({**one, "agent": "nobody"}),
        plan(*({**one, "id": f"t{n}"} for n in range(4))),
        plan(one, {"id": "b", "agent": "writer", "task": "write it up", "uses": ["a"]}),
        asks_for(("report", {"kind": "kpi", "name": "open", "value": 3})),
        chat("a is 12"),
        chat("written"),
        asks_for(("kpis", {})),
        plan({"id": "c", "agent": "writer", "task": "once more"}),
        chat("written again"),
        plan({"id": "d", "agent": "writer", "task": "and once more"}),
        chat("done"),
    ]
    run, models, _ = play(company(database, boss, reader, writer), "boss", answers)
    assert run["output"] == {"answer": "done"}, run["why"]
    told = [body["messages"][-1]["content"] for body in models.bodies]
    assert "wait for each other" in told[1]
    assert "must be one of reader, writer" in told[2]
    assert "at most 3 items" in told[3]
    assert '"results": {"a": {"answer": "a is 12"}}' in models.bodies[6]["messages"][1]["content"]
    assert told[7] == 'a: done: {"answer": "a is 12"}\nb: done: {"answer": "written"}'
    assert told[8] == '{"open": 3}'
    assert "2 plans were carried out" in told[11]


def says(*parts: dict[str, Any], stop: str = "tool_use") -> Answer:
    """Return an answer of Anthropic's messages."""
    usage = {"input_tokens": 12, "output_tokens": 3}
    said = {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "served",
        "content": list(parts),
        "stop_reason": stop,
        "usage": usage,
    }
    return Answer(200, json.dumps(said).encode())


def use(name: str, given: dict[str, Any], at: int = 0) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{at}", "name": name, "input": given}


def test_a_model_that_speaks_anthropics_messages_is_led_alike(database: Database) -> None:
    finance = led("finance", "erp.read", "payments.create", options={"turns": 4, "output": SCHEMA})
    claude = model(
        "claude", dialects=(Dialect.MESSAGES,), provider=Provider.ANTHROPIC, capabilities=(Capability.TOOLS,)
    )
    world = make_world(database, agents=[finance], tools=[payments(price=None), tool("erp.read")], models=[claude])
    answers = [
        says({"type": "text", "text": "I look."}, use("erp_read", {"invoice": 1}), use("nothing", {}, 1)),
        says(use("payments_create", PAYMENT)),
        says({"type": "text", "text": "hm"}, stop="end_turn"),
        says(use("finish", {"paid": 1})),
    ]
    run, models, caller = play(world, "finance", answers)
    assert (run["state"], run["output"]) == ("succeeded", {"paid": 1}), run["why"]
    assert [name for name, _, _ in caller.calls] == ["erp.read", "payments.create"]
    results = models.bodies[1]["messages"][-1]["content"]
    assert [part["type"] for part in results] == ["tool_result", "tool_result"]
    assert models.bodies[3]["tool_choice"]["name"] == "finish"


def test_a_failing_model_fails_the_task_and_a_new_attempt_goes_on_at_the_last_turn(database: Database) -> None:
    world = company(database, led("finance", "erp.read"))
    add_workflow(world, WorkflowSpec("w", tasks=(TaskSpec("t", agent="finance", retry=RetrySpec(2, 0.05, 0.05)),)))
    models = ScriptedModels([asks_for(("erp_read", {"invoice": 1})), refusal(400, "out of order"), chat("read")])
    caller = Caller(read)

    async def story() -> None:
        async with at_work(world, caller, models=models) as (aos, _):
            run_id = await aos.start("w")
            run = await aos.ended(run_id)
            assert (run["state"], aos.tasks(run_id)["t"]["output"]) == ("succeeded", {"answer": "read"})

    asyncio.run(story())
    assert (len(models.asked), len(caller.calls)) == (3, 1)


def test_code_may_lead_a_model_itself_in_both_colours(database: Database) -> None:
    agents = [
        replace(led(name, "erp.read"), runtime=Runtime("python", f"tests.ask_agents:{name}"))
        for name in ("leads_a_model", "leads_a_model_async")
    ]
    for name in ("leads_a_model", "leads_a_model_async"):
        answers = [asks_for(("erp_read", {"invoice": 1}), ("erp_note", {})), chat("12")]
        run, models, caller = play(company(database, *agents), name, answers)
        assert run["output"] == {"value": "12", "turns": 2, "tokens": 30, "code": "", "detail": ""}, run["why"]
        assert "Look it up." in models.bodies[0]["messages"][0]["content"]
        assert [called for called, _, _ in caller.calls] == ["erp.read"]


@pytest.mark.parametrize("colour", ["", "_async"])
def test_a_plan_is_carried_out_by_code_as_far_as_it_goes(database: Database, colour: str) -> None:
    may = {f"carries_out_a_plan{colour}": ("echoes", "breaks"), "echoes": (), "breaks": (), "strangers": ()}
    agents = [
        replace(led(name, delegates=delegates), runtime=Runtime("python", f"tests.ask_agents:{name}"))
        for name, delegates in may.items()
    ]
    run, _, _ = play(company(database, *agents), f"carries_out_a_plan{colour}", [chat("nobody asks")])
    ends = run["output"]
    assert {name for name, end in ends.items() if end["ok"]} == {"good", "uses", "later"}, run["why"]
    assert ends["uses"]["value"]["results"] == {"good": {"n": 1, "task": "say it"}}
    assert "broken" in ends["bad"]["detail"]
    assert [ends[name]["begun"] for name in ("lost", "behind", "denied")] == [False, True, False]
