"""What the pages list and say of a run: only what is still open, in words that lead on."""

from __future__ import annotations

from uuid import uuid4

from tests.e2e.console_pages import Console

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
    with console.client() as client:
        text = client.get(f"/console/runs/{console.run_id}").text
        assert f"action={still_open}" in text
        assert f"action={settled}" not in text
        assert f"action={failed}" not in text
        every = client.get(f"/console/runs/{console.run_id}?view=decisions").text
    assert f"action={settled}" in every, "the tree of decisions still has every act"
