"""What a caller who may ask one thing tries in order to get another: each is held to what was decided and held for it."""

from __future__ import annotations

from aos.kernel.models.values import Purpose
from tests.contract.model_upstream import whole
from tests.contract.model_wire import Reply
from tests.contract.model_worlds import GPT, open_models
from tests.databases import Database
from tests.worlds import agent

REPLY = Reply()


def test_a_kept_answer_goes_to_nobody_who_may_not_ask_the_model_that_gave_it(database: Database) -> None:
    purpose = Purpose("p", (GPT, "small"), cache_seconds=60)
    with open_models(
        database,
        whole(REPLY.chat()),
        models={GPT: {}, "small": {}},
        purposes=[purpose],
        agents=[agent("other", models=("small",))],
    ) as at:
        other = at.door.api_key("other")
        done = [at.chat(model="purpose:p", key=key) for key in (at.key, at.key, other)]
        assert [each.headers["aos-model"] for each in done] == [GPT, GPT, "small"]
        assert [each.json["model"] for each in at.upstream.received] == [f"{GPT}-upstream-1", "small-upstream-1"]
