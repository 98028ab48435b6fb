"""An organization with models at a scripted server, the data plane in front of it, and what stands on its ledger.

with open_models(database, reply.chat()) as at: at.openai().chat.completions.create(model="gpt", ...)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx
import openai

from aos.kernel.agents import Agent
from aos.kernel.dialects.values import Dialect, Tokens
from aos.kernel.models.prices import cost
from aos.kernel.models.values import Model, Price, Provider, Purpose
from aos.kernel.money import Money
from aos.kernel.policy.values import Rule
from tests.contract.model_upstream import Answering, Upstream, serving_upstream
from tests.databases import Database
from tests.doors import Door, open_door
from tests.worlds import IDS, World, agent, make_world

UPSTREAM_KEY = "sk-upstream-7f3a9b1c-never-shown"
PRICE = Price("EUR", 2_500_000_000, 10_000_000_000, cached=1_250_000_000, cache_writes=3_125_000_000)
OPENAI = (Dialect.CHAT, Dialect.RESPONSES, Dialect.EMBEDDINGS)
ANTHROPIC = (Dialect.MESSAGES, Dialect.COUNT_TOKENS)
GPT, CLAUDE = "gpt", "claude"
HELLO: list[Any] = [{"role": "user", "content": "Good morning, who are you?"}]
WEATHER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}


def model(name: str, upstream: Upstream, *, provider: Provider = Provider.OPENAI, **more: Any) -> Model:
    """Return a model at a scripted server: of OpenAI's dialects, or of Anthropic's where that is the provider."""
    speaks = ANTHROPIC if provider is Provider.ANTHROPIC else OPENAI
    usual: dict[str, Any] = {
        "base_url": upstream.url,
        "dialects": speaks,
        "secret": "upstream",
        "prices": (PRICE,),
        "context_tokens": 128_000,
        "timeout_seconds": 30,
    }
    return Model(IDS.new(), name, 1, provider, f"{name}-upstream-1", **{**usual, **more})


@dataclass
class ModelDoor:
    """A data plane with models behind it; the agent `asker` holds the key."""

    door: Door
    upstream: Upstream
    key: str
    stack: ExitStack

    @property
    def world(self) -> World:
        return self.door.world

    def openai(self, **more: Any) -> openai.OpenAI:
        """Return OpenAI's client, which asks once."""
        usual = {"base_url": f"{self.door.url}/v1", "api_key": self.key, "max_retries": 0, "timeout": 30}
        return self.stack.enter_context(openai.OpenAI(**{**usual, **more}))

    def anthropic(self, **more: Any) -> anthropic.Anthropic:
        """Return Anthropic's client, which asks once."""
        usual = {"base_url": self.door.url, "api_key": self.key, "max_retries": 0, "timeout": 30}
        return self.stack.enter_context(anthropic.Anthropic(**{**usual, **more}))

    def post(self, path: str, body: Any, *, key: str | None = None, **headers: str) -> httpx.Response:
        """Send a body as it is, or a document."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {key or self.key}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.door.client.post(path, content=content, headers=sent)

    def chat(self, *, model: str = GPT, max_tokens: int | None = 100, **more: Any) -> httpx.Response:
        """Ask chat/completions by hand; names of headers that are given go into the head."""
        headers = {name: str(more.pop(name)) for name in ("idempotency_key", "aos_approval_id") if name in more}
        key = more.pop("key", None)
        body: dict[str, Any] = {"model": model, "messages": HELLO, **more}
        if max_tokens is not None:
            body["max_tokens"] = max_tokens
        return self.post("/v1/chat/completions", body, key=key, **headers)

    # --- the ledger ----------------------------------------------------------------------------------------------

    def states(self) -> list[tuple[str, str]]:
        """Return name and state of every action, in order."""
        return self.world.states()

    def usage(self) -> dict[str, int]:
        """Return what stands on the ledger, by unit."""
        rows = self.world.rows("select unit, sum(quantity)::bigint from usage_event group by unit")
        return {unit: int(quantity) for unit, quantity in rows}

    def tokens(self) -> Tokens:
        """Return the tokens on the ledger, in the form in which servers report them."""
        used = self.usage()
        cached, writes = used.get("cached_input_tokens", 0), used.get("cache_write_tokens", 0)
        return Tokens(
            used.get("input_tokens", 0) + cached + writes,
            cached,
            writes,
            used.get("output_tokens", 0),
            used.get("reasoning_tokens", 0),
        )

    def cost_nanos(self) -> int:
        """Return what all usage cost."""
        return int(self.world.rows("select coalesce(sum(cost_nanos), 0) from usage_event")[0][0])

    def estimated(self) -> set[bool]:
        """Return whether usage is by estimate: one answer where all of it is alike."""
        return {row[0] for row in self.world.rows("select estimated from usage_event")}

    def charged(self, *tokens: Tokens) -> None:
        """Check that the ledger holds exactly these tokens at their price, as reported, and that nothing stays held."""
        whole = Tokens(
            sum(each.input for each in tokens),
            sum(each.cached for each in tokens),
            sum(each.cache_writes for each in tokens),
            sum(each.output for each in tokens),
            sum(each.reasoning for each in tokens),
        )
        assert self.tokens() == whole
        assert self.estimated() == {False}
        assert self.cost_nanos() == sum(self.price(each) for each in tokens)
        assert self.held() == 0

    def price(self, tokens: Tokens) -> int:
        """Return what tokens cost, in nanos."""
        return cost([PRICE], tokens, on=self.door.running.facts.now().date()).nanos

    def held(self) -> int:
        """Return what is held on all budgets."""
        return int(self.world.rows("select coalesce(sum(held_nanos), 0) from budget_account")[0][0])

    def settled(self) -> int:
        """Return what was charged to all budgets."""
        return int(self.world.rows("select coalesce(sum(settled_nanos), 0) from budget_account")[0][0])


@contextmanager
def open_models(
    database: Database,
    *answers: Answering,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    purposes: Sequence[Purpose] = (),
    rules: Sequence[Rule] = (),
    budget: Money | None = None,
    may: Sequence[str] | None = None,
    agents: Sequence[Agent] = (),
    connect_timeout_seconds: float = 10.0,
) -> Iterator[ModelDoor]:
    """Open a data plane whose models are at one scripted server that gives `answers`.

    `models` are what is not usual of each by name (`gpt` and `claude` where none are named), `may` what `asker` may ask
    (all of them where nothing is said).
    """
    named = models if models is not None else {GPT: {}, CLAUDE: {"provider": Provider.ANTHROPIC}}
    with ExitStack() as stack:
        upstream = stack.enter_context(serving_upstream(*answers))
        allowed = tuple(may) if may is not None else tuple(named)
        world = make_world(
            database,
            agents=[agent("asker", models=allowed), *agents],
            models=[model(name, upstream, **more) for name, more in named.items()],
            purposes=purposes,
            rules=rules,
            budgets=[("company", "organization", budget)] if budget is not None else [],
            secrets={"upstream": UPSTREAM_KEY},
            hosts=[upstream.host],
        )
        world.connect_timeout_seconds = connect_timeout_seconds
        door = stack.enter_context(open_door(world))
        yield ModelDoor(door, upstream, door.api_key("asker"), stack.enter_context(ExitStack()))
