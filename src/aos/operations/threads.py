"""Whose a thread is: under its name an agent's graph finds what it kept, so nobody reads on in another's by knowing a name."""

from __future__ import annotations

from aos.kernel.identity import Principal, PrincipalKind


def own_thread(principal: Principal, name: str) -> str:
    """Return the thread that a caller means by a name: a program's is its own, whatever names others give theirs."""
    person = principal.actor.kind is PrincipalKind.PERSON
    return name if person else f"{principal.actor.name}:{name}"
