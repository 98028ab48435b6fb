"""How a loop without code ends where it does not end well: its limits, its budgets, and what leads nowhere."""

from __future__ import annotations

import asyncio

from aos.kernel.agents import AgentType
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.ports import ToolOutcome
from tests.databases import Database
from tests.llm_worlds import SCHEMA, company, last_message, led, play, read
from tests.operations.test_runs_waits import PAYMENT, at_work
from tests.scripted_models import ScriptedModels, asks_for, chat
from tests.working import working
from tests.worlds import Caller


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


def test_a_model_that_can_do_neither_is_led_by_words_and_ends_where_it_does_not_answer(database: Database) -> None:
    finance = led("finance", "erp.read")
    world = company(database, finance, capabilities=())
    run, models, _ = play(world, "finance", [chat("I would rather talk.")])
    assert (run["state"], run["task"]["error_code"]) == ("failed", "no-answer")
    assert len(models.asked) == 4
    assert "response_format" not in models.bodies[0]
    assert "no JSON object" in last_message(models)["content"]


def test_a_long_loop_lets_go_of_its_host_now_and_then_and_goes_on(database: Database) -> None:
    finance = led("finance", "erp.read", options={"turns": 30})
    answers = [asks_for(("erp_read", {"invoice": n})) for n in range(23)]
    run, models, caller = play(company(database, finance), "finance", [*answers, chat("all read")])
    assert run["output"] == {"answer": "all read"}, run["why"]
    assert (len(models.asked), len(caller.calls)) == (24, 23)
    assert run["timers"] == 2


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


def test_a_budget_of_its_own_holds_though_the_first_worker_died_before_it_wrote_it(database: Database) -> None:
    thrifty = led("thrifty", "erp.read", options={"budget": "0.01 EUR", "answer_tokens": 10, "on_limit": "fail"})
    world = company(database, thrifty)
    answers = [asks_for(("erp_read", {"invoice": 1}), tokens=(9_000, 10)), chat("done")]
    models = ScriptedModels(list(answers))

    async def story() -> None:
        async with working(world, started=False) as before:
            run_id = await before.start(agent="thrifty", input="Look")
        assert world.rows("update task set claims = 1 where run_id = %s returning state", run_id) == [("ready",)]
        async with at_work(world, Caller(read), models=models) as (aos, _):
            await aos.ended(run_id)
            (task,) = aos.tasks(run_id).values()
            assert task["error_code"] == "budget-spent"

    asyncio.run(story())
