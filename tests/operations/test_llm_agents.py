"""Agents without code: a model led through tools to an answer, in real hosts, durable, bounded, and within its rights."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from aos.kernel.agents import Agent, AgentType, Runtime
from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import UpstreamFailed
from aos.kernel.models.values import Capability, Provider
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.ports import ToolOutcome
from aos.kernel.tools import Effect
from aos.kernel.workflow.spec import RetrySpec, TaskSpec, WorkflowSpec
from tests.databases import Database
from tests.operations.test_runs_waits import PAYMENT, at_work
from tests.scripted_models import Answer, ScriptedModels, asks_for, chat, model, refusal
from tests.working import Working, add_workflow
from tests.worlds import Caller, World, agent, make_world, payments, tool

ASK = Rule("every-payment", 1, Outcome.ESCALATE, (), ("tool:payments.create",), "", "a person looks at it")
NEVER = Rule("no-payments", 1, Outcome.DENY, (), ("tool:payments.create",), "", "nothing is paid today")
SCHEMA = {
    "type": "object",
    "properties": {"paid": {"type": "integer"}},
    "required": ["paid"],
    "additionalProperties": False,
}


def led(name: str, *tools: str, options: dict[str, Any] | None = None, **more: Any) -> Agent:
    """Return an agent that a model leads."""
    given: dict[str, Any] = {"models": ("*",), "runtime": Runtime("llm", options=options or {}), **more}
    return agent(name, *tools, **given)


def company(
    database: Database,
    *agents: Agent,
    rules: tuple[Rule, ...] = (),
    capabilities: tuple[Capability, ...] = (Capability.TOOLS, Capability.JSON_SCHEMA),
    limit: Money | None = None,
) -> World:
    """Return an organization with one model, a reading, a writing and a paying tool."""
    return make_world(
        database,
        agents=agents,
        tools=[
            payments(price=None),
            tool("erp.read", description="Reads one invoice"),
            tool("erp.note", effect=Effect.WRITE),
        ],
        rules=rules,
        models=[model("light", capabilities=capabilities)],
        budgets=[("all", "organization", limit)] if limit is not None else [],
    )


def play(
    world: World,
    name: str,
    answers: Sequence[Answer | UpstreamFailed],
    *,
    input: Any = "Do what is due",
    act: Callable[..., Any] | None = None,
    caller: Caller | None = None,
) -> tuple[Any, ScriptedModels, Caller]:
    """Run an agent to its end; return the run, the models' far side and the tools' far side."""
    models, caller = ScriptedModels(list(answers)), caller or Caller(read)

    async def story() -> Any:
        async with at_work(world, caller, models=models) as (aos, _):
            run_id = await aos.start(agent=name, input=input)
            if act is not None:
                await act(aos, run_id)
            run = await aos.ended(run_id)
            await aos.check_books()
            task = next(iter(aos.tasks(run_id).values()))
            timers = aos.rows("select 1 from call where kind = 'timer' and state = 'performed'")
            return {**run, "task": task, "why": aos.content(task["error_content_id"]), "timers": len(timers)}

    return asyncio.run(story()), models, caller


def read(tool: Any, arguments: Any) -> ToolOutcome:
    """Answer as the tools of a small company do."""
    if tool.name == "erp.read":
        return ToolOutcome(ok=True, value={"invoice": arguments.get("invoice"), "amount": "12"})
    return ToolOutcome(ok=True, value={"done": tool.name})


def last_message(models: ScriptedModels, at: int = -1) -> Any:
    return models.bodies[at]["messages"][-1]


async def approve(aos: Working, run_id: Any) -> None:
    (approval,) = await aos.until("select id from approval where status = 'pending'")
    await aos.answer(approval["id"])


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


def test_the_same_refused_call_made_again_and_again_ends_the_task_as_a_loop(database: Database) -> None:
    finance = led("finance", "payments.create")
    denied = Rule("small-only", 1, Outcome.DENY, (), ("tool:payments.create",), "args.amount > 10", "only small ones")
    run, models, caller = play(
        company(database, finance, rules=(denied,)), "finance", [asks_for(("payments_create", PAYMENT))]
    )
    assert (run["state"], run["task"]["error_code"]) == ("failed", "loop-detected")
    assert "made 3 times" in run["why"]["detail"]
    assert "small-only" in run["why"]["detail"]
    assert (len(models.asked), len(caller.calls)) == (3, 0)


def test_a_failing_tool_malformed_arguments_and_arguments_off_the_schema_are_told_to_the_model(
    database: Database,
) -> None:
    finance = led("finance", "erp.read", "payments.create")
    broken = Caller(lambda tool, arguments: ToolOutcome(ok=False, error="the file is locked"))
    answers = [
        asks_for(("erp_read", {"invoice": 1}), ("erp_read", "{oops"), ("payments_create", {"amount": "12"})),
        chat("nothing worked"),
    ]
    run, models, _ = play(company(database, finance), "finance", answers, caller=broken)
    assert run["output"] == {"answer": "nothing worked"}, run["why"]
    told = [each["content"] for each in models.bodies[1]["messages"] if each["role"] == "tool"]
    assert "the file is locked" in told[0]
    assert "not JSON" in told[1]
    assert "`iban` is missing" in told[2]


def test_the_last_turn_makes_no_more_calls_and_what_there_is_then_is_marked_unfinished(database: Database) -> None:
    finance = led("finance", "erp.read", options={"turns": 2})
    answers = [
        asks_for(("erp_read", {"invoice": 1}), text="Looking."),
        asks_for(("erp_read", {"invoice": 2}), text="Still."),
    ]
    run, models, caller = play(company(database, finance), "finance", answers)
    assert run["state"] == "succeeded", run["why"]
    assert run["output"]["unfinished"] == "turns-spent"
    assert run["output"]["answer"] == "Still."
    assert (len(models.asked), len(caller.calls)) == (2, 1)
    assert models.bodies[1]["tool_choice"] == "none"
    assert "last turn" in last_message(models)["content"]


def test_a_limit_is_a_failure_where_that_is_wanted_and_where_a_schema_must_be_filled(database: Database) -> None:
    strict = led("strict", "erp.read", options={"turns": 1, "on_limit": "fail"})
    filled = led("filled", "erp.read", options={"turns": 1, "output": SCHEMA})
    for name in ("strict", "filled"):
        run, _, _ = play(company(database, strict, filled), name, [asks_for(("erp_read", {"invoice": 1}))])
        assert (run["state"], run["task"]["error_code"]) == ("failed", "turns-spent")


def test_tokens_are_a_limit_of_their_own(database: Database) -> None:
    finance = led("finance", "erp.read", options={"tokens": 200})
    answers = [asks_for(("erp_read", {"invoice": n}), tokens=(50, 10)) for n in range(9)]
    run, models, _ = play(company(database, finance), "finance", answers)
    assert run["output"]["unfinished"] == "tokens-spent", run
    assert len(models.asked) == 3


def test_a_spent_budget_ends_the_loop_with_what_it_has(database: Database) -> None:
    finance = led("finance", "erp.read", options={"answer_tokens": 10})
    answers = [asks_for(("erp_read", {"invoice": 1}), text="The first one is fine.", tokens=(1_000, 900))]
    run, _, _ = play(company(database, finance, limit=Money(6_000_000, "EUR")), "finance", answers)
    assert run["state"] == "succeeded", run["why"]
    assert run["output"]["unfinished"] == "budget-spent"
    assert run["output"]["answer"] == "The first one is fine."


def test_an_answer_off_its_schema_is_mended_once(database: Database) -> None:
    finance = led("finance", options={"output": SCHEMA})
    answers = [asks_for(("finish", {"paid": "two"})), asks_for(("finish", {"paid": 2}))]
    run, models, _ = play(company(database, finance), "finance", answers)
    assert (run["state"], run["output"]) == ("succeeded", {"paid": 2}), run["why"]
    assert "/paid: must be of type integer" in last_message(models)["content"]


def test_an_answer_off_its_schema_twice_fails_the_task(database: Database) -> None:
    finance = led("finance", options={"output": SCHEMA})
    answers = [chat('{"paid": "two"}'), asks_for(("finish", {"paid": "zwei"}))]
    run, models, _ = play(company(database, finance), "finance", answers)
    assert (run["state"], run["task"]["error_code"]) == ("failed", "invalid-output")
    assert len(models.asked) == 2


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


def test_a_model_that_can_do_neither_is_led_by_words_and_ends_where_it_does_not_answer(database: Database) -> None:
    finance = led("finance", "erp.read")
    world = company(database, finance, capabilities=())
    run, models, _ = play(world, "finance", [chat("I would rather talk.")])
    assert (run["state"], run["task"]["error_code"]) == ("failed", "no-answer")
    assert len(models.asked) == 4
    assert "response_format" not in models.bodies[0]
    assert "no JSON object" in last_message(models)["content"]


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
    assert "delegate" not in {each["function"]["name"] for each in models.bodies[1]["tools"]}
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


def test_a_long_loop_lets_go_of_its_host_now_and_then_and_goes_on(database: Database) -> None:
    finance = led("finance", "erp.read", options={"turns": 30})
    answers = [asks_for(("erp_read", {"invoice": n})) for n in range(23)]
    run, models, caller = play(company(database, finance), "finance", [*answers, chat("all read")])
    assert run["output"] == {"answer": "all read"}, run["why"]
    assert (len(models.asked), len(caller.calls)) == (24, 23)
    assert run["timers"] == 2


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


def test_a_task_costs_no_more_than_its_own_budget_whatever_its_children_spend(database: Database) -> None:
    boss = led(
        "boss",
        type=AgentType.EXECUTIVE,
        delegates=("helper",),
        options={"child_budget": "0.008 EUR", "answer_tokens": 100},
    )
    helper = led("helper", type=AgentType.SUB_AGENT, options={"answer_tokens": 10})
    answers = [
        asks_for(("delegate", {"agent": "helper", "task": "help"})),
        asks_for(("report", {"kind": "progress", "value": "on it"}), text="So far so good.", tokens=(6_000, 10)),
        chat("the helper ran out of money"),
    ]
    run, models, _ = play(company(database, boss, helper), "boss", answers)
    assert run["output"] == {"answer": "the helper ran out of money"}, run["why"]
    assert '"unfinished": "budget-spent"' in last_message(models)["content"]
    assert "So far so good." in last_message(models)["content"]


def test_an_agent_says_what_each_of_its_tasks_may_cost(database: Database) -> None:
    thrifty = led("thrifty", "erp.read", options={"budget": "0.01 EUR", "answer_tokens": 10, "on_limit": "fail"})
    answers = [asks_for(("erp_read", {"invoice": 1}), tokens=(9_000, 10))]
    run, models, _ = play(company(database, thrifty), "thrifty", answers)
    assert (run["state"], run["task"]["error_code"]) == ("failed", "budget-spent"), run["why"]
    assert len(models.asked) == 1


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
