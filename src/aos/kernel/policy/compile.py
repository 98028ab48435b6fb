"""From a rule to what is evaluated: each rule is compiled once for each tool whose calls it may match.

A rule that names `args.amount` is typed by each tool's own schema, so a rule over `tool:erp.*` must fit every tool of
that name; acts that are no tool calls share one compilation, with the facts they have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aos.kernel.acts import Act
from aos.kernel.cel import CelType, Condition, compile_condition
from aos.kernel.cel_text import Named, Token, facts_named, rewrite, tokens_of_expression
from aos.kernel.errors import InvalidCondition
from aos.kernel.json import MISSING
from aos.kernel.policy.facts import ROOTS, Fact, Reader, resolve_fact
from aos.kernel.policy.money_literals import scale_literals
from aos.kernel.policy.reasons import Reason, compile_reason
from aos.kernel.policy.values import Facts, Matched, Outcome, Rule
from aos.kernel.tools import Tool

_DEFAULT_REASONS: Final[Mapping[Outcome, str]] = {
    Outcome.ALLOW: "allowed by `{id}`",
    Outcome.ESCALATE: "`{id}` asks for approval",
    Outcome.DENY: "denied by `{id}`",
}
_RESERVED: Final = frozenset({"false", "in", "null", "true"})
"""Words that CEL reads as something else even after a dot."""


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule for the calls of one tool, or for acts that are no tool calls.

    `condition` None means always, unless `broken` says why the rule does not compile: then its condition always fails.
    `inputs` read what the condition is given, by variable. `matched` is the answer where it needs no rendering.
    """

    rule: Rule
    condition: Condition | None
    inputs: tuple[tuple[str, Reader], ...]
    named: tuple[Fact, ...]
    reason: Reason
    matched: Matched | None
    broken: str = ""


def compile_rule(rule: Rule, tool: Tool | None) -> CompiledRule:
    """Compile `rule` for calls of `tool`, None for acts that are no tool calls; raise InvalidCondition."""
    reason = compile_reason(rule.reason or _DEFAULT_REASONS[rule.outcome].replace("{id}", rule.id), tool)
    condition, inputs, named = _compile_when(rule.when, tool) if rule.when.strip() else (None, {}, ())
    matched = None
    if reason.constant is not None:
        matched = Matched(rule.id, rule.version, rule.outcome, reason.constant, rule.source)
    known = {fact.path: fact for fact in (*named, *reason.facts)}
    return CompiledRule(rule, condition, tuple(inputs.items()), tuple(known.values()), reason, matched)


def broken_rule(rule: Rule, why: str) -> CompiledRule:
    """Return `rule` as one whose condition always fails: a deny or escalate rule then always matches, an allow rule never."""
    return CompiledRule(rule, None, (), (), Reason((why,), why), None, broken=why)


def _compile_when(when: str, tool: Tool | None) -> tuple[Condition, dict[str, Reader], tuple[Fact, ...]]:
    """Return the condition, the readers of its variables, and the facts it names."""
    tokens = tokens_of_expression(when)
    found = facts_named(tokens, ROOTS)
    resolved = [(each, resolve_fact(each.path, tool)) for each in found]
    texts, variables, inputs = _declare(resolved)
    literals = scale_literals(
        tokens,
        money={each.first: each.last for each, fact in resolved if fact.money and not each.has},
        doubles={each.first: each.last for each, fact in resolved if fact.type is CelType.DOUBLE and not each.has},
    )
    rewritten = _rewritten(when, tokens, texts=texts, literals=literals)
    try:
        condition = compile_condition(rewritten, variables)
    except InvalidCondition as error:
        raise InvalidCondition(_as_written(error.detail, rewritten, when=when, texts=texts)) from error
    return condition, inputs, tuple(fact for _, fact in resolved)


def _declare(
    resolved: Sequence[tuple[Named, Fact]],
) -> tuple[dict[int, tuple[str, Named]], dict[str, CelType], dict[str, Reader]]:
    """Return for each fact named the variable that stands for it, and the variables' types and readers.

    A path of plain names is its own variable; others (`args["vendor-id"]`, `has(args.note)`) get one made up.
    """
    texts: dict[int, tuple[str, Named]] = {}
    variables: dict[str, CelType] = {}
    inputs: dict[str, Reader] = {}
    for each, fact in resolved:
        if each.has:
            name, kind, read = f"has_{_flat(each.path)}", CelType.BOOL, _is_there(fact.read)
        else:
            name, kind, read = f"fact_{_flat(each.path)}", fact.type, fact.read
            if all(part.isidentifier() and part.isascii() and part not in _RESERVED for part in each.path):
                name = each.text
        texts[each.first] = (name, each)
        variables[name], inputs[name] = kind, read
    return texts, variables, inputs


def _flat(path: tuple[str, ...]) -> str:
    """Return a variable's name that no other path yields: letters and digits stand, everything else as its code."""
    return "".join(char if char.isascii() and char.isalnum() else f"_{ord(char):x}_" for char in ".".join(path))


def _is_there(read: Reader) -> Reader:
    def is_there(act: Act, facts: Facts) -> object:
        return read(act, facts) is not MISSING

    return is_there


def _rewritten(
    when: str, tokens: tuple[Token, ...], *, texts: Mapping[int, tuple[str, Named]], literals: Mapping[int, str]
) -> str:
    def replace(index: int) -> tuple[str, int] | None:
        if index in literals:
            return literals[index], index
        if index in texts:
            name, named = texts[index]
            return name, named.last
        return None

    return rewrite(when, tokens, replace=replace)


def _as_written(detail: str, rewritten: str, *, when: str, texts: Mapping[int, tuple[str, Named]]) -> str:
    """Return the compiler's message in the user's own words instead of the rewritten ones."""
    detail = detail.replace(f"`{rewritten}`", f"`{when}`")
    for name, named in sorted(texts.values(), key=lambda each: -len(each[0])):
        if name != named.text:
            detail = detail.replace(name, f"has({named.text})" if named.has else named.text)
    return detail
