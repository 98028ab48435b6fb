"""What a condition may name, how each fact reaches it, and how money is compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.acts import ActKind
from aos.kernel.errors import InvalidCondition
from aos.kernel.limits import MONEY_UNITS_MAX
from aos.kernel.money import parse_amount
from aos.kernel.policy.compile import compile_rule
from aos.kernel.policy.facts import nanos_of
from aos.kernel.policy.values import Origin, Outcome
from tests.kernel.policy_values import a_person, a_rule, a_tool, an_act, an_agent, decided, link, the_facts


def holds(when: str, *, arguments: object = None, **facts: object) -> str:
    """Return `yes`, `no` or `failed`: what a deny rule with this condition makes of the act."""
    compiled = compile_rule(a_rule(when), a_tool())
    act = an_act(a_person(), link(an_agent()), arguments=arguments, in_run=bool(facts.pop("in_run", False)))
    values = {
        name: value
        for name, read in compiled.inputs
        if not str(value := read(act, the_facts(**facts))).startswith("Missing")
    }
    assert compiled.condition is not None
    return compiled.condition.holds(values).value


@pytest.mark.parametrize(
    ("when", "arguments", "expected"),
    [
        ('args.currency != "EUR" || args.amount > 1000', {"currency": "EUR", "amount": "1000.00"}, "no"),
        ('args.currency != "EUR" || args.amount > 1000', {"currency": "EUR", "amount": "1000.000000001"}, "yes"),
        ('args.currency != "EUR" || args.amount > 1000', {"currency": "USD", "amount": "x"}, "yes"),
        ('args.currency != "EUR" || args.amount > 1000', {"currency": "EUR"}, "failed"),
        ('args.currency != "EUR" || args.amount > 1000', {"amount": "1001"}, "yes"),
        ("args.currency == 'EUR'", {"currency": "EUR\0"}, "failed"),
        ("args.currency == 'EUR'", {"currency": None}, "failed"),
        ("args.count > 3", {"count": 4}, "yes"),
        ("args.count > 3", {"count": True}, "failed"),
        ("args.count > 3", {"count": "4"}, "failed"),
        ("args.count > 3", {"count": 2**80}, "failed"),
        ("args.rate > 3", {"rate": 3.5}, "yes"),
        ("args.rate > 3", {"rate": 4}, "yes"),
        ("3 < args.rate", {"rate": 2}, "no"),
        ("args.rate >= -3.5", {"rate": -3.5}, "yes"),
        ("args.rate > 3", {"rate": float("nan")}, "failed"),
        ("args.rate > 3", {"rate": float("inf")}, "failed"),
        ("args.urgent", {"urgent": True}, "yes"),
        ("args.tags.exists(tag, tag == 'new')", {"tags": ["old", "new"]}, "yes"),
        ("'new' in args.tags", {"tags": ["old"]}, "no"),
        ("args.tags[0] == 'old'", {"tags": []}, "failed"),
        ("args.tags.size() > 1", {"tags": ["a", "b"]}, "yes"),
        ("args.tags.exists(tag, tag == 'new')", {"tags": ["x"] * 1001}, "failed"),
        ("args.vendor.id == 'v1'", {"vendor": {"id": "v1"}}, "yes"),
        ("args.vendor.limit > 4", {"vendor": {"limit": 5}}, "yes"),
        ("args['vendor-id'] == 'v1'", {"vendor-id": "v1"}, "yes"),
        ('args["vendor"]["id"] == "v1"', {"vendor": {"id": "v1"}}, "yes"),
        ("args['in'] == 3 && args.in == 3", {"in": 3}, "yes"),
        ("args.open.anything == 3", {"open": {"anything": 3}}, "yes"),
        ("args.meta.flag == true", {"meta": {"flag": "true"}}, "no"),
        ("args.meta.flag == true", {}, "failed"),
        ("args.note.contains('urgent')", {"note": "most urgent"}, "yes"),
        ("args.note.matches('^[a-z]+$')", {"note": "Ab"}, "no"),
        ("has(args.note)", {}, "no"),
        ("has(args.note)", {"note": ""}, "yes"),
        ("!has(args.note) || args.note == 'x'", {}, "yes"),
        ("has(args.note) && args.note == 'x'", {}, "no"),
        ("has(args.vendor.id)", {"vendor": {}}, "no"),
        ("has(args['vendor-id'])", {"vendor-id": "1"}, "yes"),
        ("has(args.amount) && args.amount > 5", {"amount": "6"}, "yes"),
        ("has(args.amount)", {"amount": "six"}, "no"),
    ],
)
def test_arguments_are_typed_by_the_schema_and_what_is_missing_or_wrong_fails(when, arguments, expected):
    assert holds(when, arguments=arguments) == expected


@pytest.mark.parametrize(
    ("when", "facts", "expected"),
    [
        ("tool.effect == 'pay' && !tool.reversible && tool.result_trust == 'own'", {}, "yes"),
        ("'iban' in tool.sinks && tool.name == 'payments.create'", {}, "yes"),
        ("agent.name == 'finance' && agent.type == 'functional' && agent.department == 'finance'", {}, "yes"),
        ("agent.risk == 'normal' && agent.owner == 'maria'", {}, "yes"),
        ("agent.chain.size() == 2 && agent.chain[0] == 'person:maria'", {}, "yes"),
        ("request.by == 'person:maria'", {}, "yes"),
        ("now.hour >= 9 && now.hour < 17 && now.minute == 15 && now.weekday == 5", {}, "yes"),
        ("now.date > '2026-01-29'", {}, "yes"),
        ("environment == 'production'", {}, "yes"),
        ("budget.left < 12.5", {"budget_left_nanos": 12_499_999_999}, "yes"),
        ("budget.left < 12.5", {"budget_left_nanos": 12_500_000_000}, "no"),
        ("budget.left < 12.5", {}, "failed"),
        ("has(budget.left) && budget.left < 12.5", {}, "no"),
        ("facts.vendor.bank_changed_days < 30", {"looked_up": {"vendor": {"bank_changed_days": 4}}}, "yes"),
        ("facts.vendor.bank_changed_days < 30", {"looked_up": {"vendor": {"bank_changed_days": 30.5}}}, "no"),
        ("facts.vendor.bank_changed_days < 30", {"looked_up": {"vendor": {}}}, "failed"),
        ("facts.vendor.bank_changed_days < 30", {"looked_up": {"vendor": {"bank_changed_days": "4"}}}, "failed"),
        ("facts.vendor.bank_changed_days < 30", {}, "failed"),
        ("facts.vendor.name == 'ACME'", {"looked_up": {"vendor": {"name": "ACME\0x"}}}, "failed"),
        ("has(facts.vendor.blocked) && facts.vendor.blocked == true", {"looked_up": {"vendor": {}}}, "no"),
        ("facts.vendor == null", {"looked_up": {"vendor": None}}, "yes"),
    ],
)
def test_every_other_fact_reaches_its_condition(when, facts, expected):
    assert holds(when, **facts) == expected


@pytest.mark.parametrize(
    "when", ["origin.iban == 'trusted'", "origin['iban'] == 'trusted'", "origin[iban] == 'trusted'"]
)
def test_the_origin_of_a_sink_is_named_in_three_ways(when):
    assert holds(when, arguments={"iban": "x"}, origins={"iban": Origin.TRUSTED}) == "yes"
    assert holds(when, arguments={"iban": "x"}, origins={"iban": Origin.UNTRUSTED}) == "no"


@pytest.mark.parametrize(
    ("arguments", "in_run", "expected"),
    [({"iban": "x"}, False, "yes"), ({"iban": "x"}, True, "no"), ({}, False, "failed")],
)
def test_a_sink_without_origin_is_the_models_outside_a_run_and_untrusted_inside_one(arguments, in_run, expected):
    assert holds("origin.iban == 'model'", arguments=arguments, in_run=in_run) == expected


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("args.nope == 1", "takes no argument `args.nope`"),
        ("args == args", "no fact `args`"),
        ("args.count.size == 1", "has no field `size`"),
        ("args.tags.first == 'a'", "has no field `first`"),
        ("history.count > 1", "unknown name `history`"),
        ("request.words == 'x'", "no fact `request.words`"),
        ("request.recipients == 'x'", "no fact `request.recipients`"),
        ("tool.color == 'red'", "no fact `tool.color`"),
        ("origin.note == 'model'", "no sink"),
        ("facts.other.x == 1", "looks up no fact `other`"),
        ("now.second == 1", "no fact `now.second`"),
        ("whatever == 1", "unknown name `whatever`"),
        ("args.tags.exists(args, args == 'x')", "bind another name"),
        ("args.count == '1'", "no matching overload"),
        ("args.count", "not yes or no"),
        ("has(args)", "no fact `args`"),
        ("has(1)", "wants a fact"),
        ("has(args.note == 'x')", "alone"),
        ("args.rate * 2 > 3.0", "no matching overload"),
    ],
)
def test_what_does_not_exist_or_fit_is_refused_when_compiled(when, message):
    with pytest.raises(InvalidCondition, match=message) as caught:
        compile_rule(a_rule(when), a_tool())
    assert "fact_" not in caught.value.detail
    assert "has_" not in caught.value.detail


def test_the_message_about_an_unknown_fact_lists_those_that_exist():
    with pytest.raises(InvalidCondition) as caught:
        compile_rule(a_rule("request.words == 'x'"), a_tool())
    for fact in (
        "args.amount",
        "origin.iban",
        "facts.vendor.NAME",
        "now.hour",
        "tool.effect",
        "budget.left",
        "environment",
    ):
        assert fact in caught.value.detail


@pytest.mark.parametrize("kind", [ActKind.MODEL, ActKind.DELEGATE, ActKind.RUN, ActKind.MESSAGE])
@pytest.mark.parametrize("when", ["tool.effect == 'pay'", "origin.iban == 'model'", "facts.vendor.x == 1"])
def test_acts_that_are_no_tool_calls_have_no_facts_of_tools(kind, when):
    with pytest.raises(InvalidCondition, match="no fact"):
        compile_rule(a_rule(when, actions=(f"{kind}:*",)), None)


# --- money -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "amount", "expected"),
    [
        ("args.amount > 1000", "1000", "no"),
        ("args.amount > 1000", "1000.01", "yes"),
        ("args.amount >= 12.5", "12.50", "yes"),
        ("12.5 <= args.amount", "12.499999999", "no"),
        ("args.amount == 0.1", "0.10", "yes"),
        ("args.amount < -5", "-5.01", "yes"),
        ("-5 > args.amount", "-5.01", "yes"),
        ("args.amount > 1e3", "1000.5", "yes"),
        ("(args.amount > 1000) == true", "1001", "yes"),
        ("args.amount > 5 ? args.amount > 10 : false", "7", "no"),
        ("[args.amount > 5, args.amount > 10].exists(x, x)", "7", "yes"),
        ("args.amount > args.fee", "7", "yes"),
        ("args.fee < args.amount && args.count > 1000", "7", "yes"),
        (f"args.amount == {MONEY_UNITS_MAX}", str(MONEY_UNITS_MAX), "yes"),
        ("args.amount > 5", "9200000001", "failed"),
        ("args.amount > 5", "5,00", "failed"),
        ("args.amount > 5", "1e3", "failed"),
        ("args.amount > 5", " 6", "failed"),
        ("args.amount > 5", "0.0000000001", "failed"),
        ("args.amount > 5", "٣", "failed"),
    ],
)
def test_money_is_compared_exactly(when, amount, expected):
    assert holds(when, arguments={"amount": amount, "fee": "0.1", "count": 1001}) == expected


@pytest.mark.parametrize("amount", [1000, 1000.5, True, None, ["1"], {"x": 1}])
def test_money_that_is_no_decimal_string_fails(amount):
    assert holds("args.amount > 0", arguments={"amount": amount}) == "failed"


@pytest.mark.parametrize(
    "when",
    [
        "args.amount * 2 > 1000",
        "args.amount > 1000 * 2",
        "args.amount + args.fee > 1000",
        "2 * args.amount > 1000",
        "-args.amount > 5",
        "args.amount > 1000 + 1",
        "1 + 1000 < args.amount",
        "args.amount in [1000, 2000]",
        "[args.amount] == [1000]",
        "string(args.amount) == '5'",
        "double(args.amount) > 5.0",
        "args.amount > args.count",
        "args.amount > (1000)",
        "(args.amount) > 1000",
        "args.amount == args.amount + 1",
        "args.amount > 1000 == true",
        "args.tags.exists(x, x == args.amount)",
        "{'a': args.amount} == {'a': 1}",
        "args.amount > facts.vendor.limit",
        "budget.left * 2 > 5",
        "args.amount > 0x10",
        "args.amount > 5u",
        "args.amount > 0.0000000001",
        "args.amount > 1.00000000000000000000000000000000001",
        f"args.amount > {MONEY_UNITS_MAX + 1}",
        "args.amount > 1e999999",
        "5 - 1 < args.amount",
    ],
)
def test_any_other_use_of_money_is_refused(when):
    with pytest.raises(InvalidCondition):
        compile_rule(a_rule(when), a_tool())


def test_money_inside_an_object_is_named_itself():
    nested = {
        "type": "object",
        "properties": {"order": {"type": "object", "properties": {"total": {"type": "string"}}}},
    }
    tool = a_tool(schema=nested, money=("order.total",), sinks=(), lookups=())
    compile_rule(a_rule("args.order.total > 5 && has(args.order.total)"), tool)
    with pytest.raises(InvalidCondition, match="holds money"):
        compile_rule(a_rule("args.order == {'total': 5}"), tool)


@given(
    st.decimals(min_value="-99999999", max_value="99999999", places=9),
    st.decimals(min_value=0, max_value="9999", places=2),
)
def test_a_scaled_literal_compares_as_the_decimals_do(amount, limit):
    text, bound = f"{amount:f}", f"{limit:f}"
    assert holds(f"args.amount > {bound}", arguments={"amount": text}) == ("yes" if amount > limit else "no")


@given(st.from_regex(r"-?[0-9]{0,11}(\.[0-9]{0,10})?", fullmatch=True))
def test_the_short_way_to_nanos_agrees_with_the_long_one(text):
    try:
        expected: object = parse_amount(text)
    except Exception:
        expected = None
    found = nanos_of(text)
    assert (found if isinstance(found, int) else None) == expected


def test_facts_that_matched_rules_named_are_shown_and_money_as_a_decimal():
    decision = decided([a_rule("args.amount > 5 && origin.iban == 'model'")], arguments={"amount": "7.5", "iban": "x"})
    assert decision.outcome is Outcome.DENY
    assert decision.read == {"args.amount": "7.50", "origin.iban": "model"}
