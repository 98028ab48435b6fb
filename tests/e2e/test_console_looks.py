"""What the pages list and say of a run: only what is still open, in words that lead on."""

from __future__ import annotations

import re
from uuid import uuid4

from tests.e2e.console_pages import VIKTOR, Console

_CUT = """
insert into action (organization_id, id, kind, name, effect, state, outcome, rules, agent_id, agent_version, department_id,
  chain, run_id, task_id, attempt, call_key, digest, intended_at)
select organization_id, %s, kind, name, effect, %s, outcome, rules, agent_id, agent_version, department_id,
  chain, run_id, task_id, attempt, coalesce(%s, call_key), digest, intended_at
from action where id = %s
"""


def test_an_act_of_unknown_outcome_needs_a_look_until_the_same_call_was_done(console: Console) -> None:
    done = console.rows("select id, task_id from action where run_id = %s and state = 'performed' and name ="
                        " 'payments.create' order by id limit 1", console.run_id)[0][0]  # fmt: skip
    settled, still_open = uuid4(), uuid4()
    console.rows(_CUT, settled, "unknown", None, done)
    console.rows(_CUT, still_open, "unknown", "payments.create/never again", done)
    console.rows(_CUT, failed := uuid4(), "failed", None, done)
    # What the gate reads for a rule is no call of the task: it has no key.
    read = console.rows("select id from action where run_id = %s and state = 'performed' and name ="
                        " 'erp.get_vendor' order by id limit 1", console.run_id)[0][0]  # fmt: skip
    console.rows(_CUT, fact := uuid4(), "unknown", None, read)
    console.rows("update action set call_key = null where id = %s", fact)
    with console.client() as client:
        text = client.get(f"/console/runs/{console.run_id}").text
        assert f"action={still_open}" in text
        assert f"action={settled}" not in text
        assert f"action={fact}" not in text
        assert f"action={failed}" not in text
        every = client.get(f"/console/runs/{console.run_id}?view=decisions").text
    assert f"action={settled}" in every, "the tree of decisions still has every act"


def test_every_command_on_a_page_names_the_organization_it_is_for(console: Console) -> None:
    addresses = console.addresses()
    pages = ["run", "act", "audit", "cost", "approval"]
    empty = {
        "/console/approvals?status=pending&run=" + str(uuid4()),
        "/console/runs?state=cancelled",
        "/console/policies?outcome=allow",
    }
    with console.client(VIKTOR) as client:
        texts = [client.get(each).text for each in (*(addresses[page] for page in pages), *sorted(empty))]
    commands = [found for text in texts for found in re.findall(r"^[^\n]*?\b(aos [a-z]+ [^<\n]+)", text, re.MULTILINE)]
    assert len(commands) >= 5
    assert [each for each in commands if "--org Larkspur" not in each] == []
    assert f"aos trace {console.run_id} --org Larkspur" in commands


def test_search_finds_the_acts_about_an_invoice_for_those_who_may_read_them(console: Console) -> None:
    with console.client() as maria, console.client(VIKTOR) as viktor:
        found = maria.get("/console/search?q=inv-2610-0049").text
        assert "Pay 18,240.00 EUR to Brandt Stahl GmbH" in found
        assert "payments.create: invoice INV-2610-0049" in found
        assert "INV-2610-0056" not in found
        assert "Close October 2026" in maria.get("/console/search?q=month=2026-10").text
        assert "INV-2610-0049" not in maria.get("/console/search?q=49").text, "two characters are in everything"
        hidden = viktor.get("/console/search?q=INV-2610-0049").text
        assert "Nothing found" in hidden
        assert "since you may not read content" in hidden
        assert "Umbra" not in maria.get("/console/search?q=DE71500105178134201906").text
