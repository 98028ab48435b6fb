"""Who takes part in the demo: the administrator of this machine, and Larkspur's people in an organization of their own.

The administrator's token is kept in a file that its owner alone may read; the people's live as long as the demo does.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from examples.month_end.demo_aos import LINK, Aos, DemoError, Machine, Refused, run_aos
from examples.month_end.demo_models import Drafter, without_models
from examples.month_end.folder import COMPANY_ARGUMENT

MANIFEST = Path(__file__).with_name("aos.yaml")
TOKEN_FILE = "administrator-token"
PREFIX = "demo-"
MARIA = "maria@larkspur.example"
TOMAS = "tomas@larkspur.example"
INES = "ines@larkspur.example"
ROLES = {MARIA: "operator", TOMAS: "approver", INES: "auditor"}
NAMES = {MARIA: "Maria Brandt", TOMAS: "Tomas Keller", INES: "Ines Vogt"}
GUEST = "guest@larkspur.example"


@dataclass(frozen=True, slots=True)
class Company:
    """One demo's organization, its company's folder, its people's connections, and the link by which you may come in."""

    organization: str
    folder: Path
    administrator: Aos
    maria: Aos
    tomas: Aos
    ines: Aos
    guest_link: str

    def close(self) -> None:
        """Close the connections."""
        for each in (self.administrator, self.maria, self.tomas, self.ines):
            each.close()


def sign_in(machine: Machine) -> Aos:
    """Return the administrator: by the token kept from an earlier demo, by the link of an empty store, or by `aos login`."""
    folder = machine.folder / "demo"
    folder.mkdir(mode=0o700, exist_ok=True)
    kept = folder / TOKEN_FILE
    if kept.exists():
        administrator = Aos(machine.url, kept.read_text("ascii").strip())
        try:
            administrator.get("/whoami")
            return administrator
        except Refused as refused:
            if refused.status != 401:
                raise
    token = _token_of_login()
    if not token and (token := _redeem(machine)):
        run_aos("login", "--token-stdin", typed=token)  # so that what the demo says to type next works
    if not token:
        raise DemoError(
            f"nobody is signed in to {machine.url} here: `aos login LINK` with the link that `aos up` printed, or set AOS_TOKEN"
        )
    _keep(kept, token)
    return Aos(machine.url, token)


def _redeem(machine: Machine) -> str:
    """Exchange the one-time link that `aos up` prints until somebody has signed in for a token; empty without one."""
    link = LINK.search(machine.said or run_aos("up", "--detach").stdout)
    return _exchange(machine.url, link.group()) if link else ""


def _exchange(url: str, link: str) -> str:
    """Exchange a one-time link for a personal token."""
    with Aos(url) as nobody:
        return str(nobody.post("/people/link", {"link": link, "label": "make demo"})["token"])


def _token_of_login() -> str:
    """Make a token as whoever is signed in on the command line; empty where nobody is."""
    said = run_aos("--json", "tokens", "create", "make demo")
    try:
        return str(json.loads(said.stdout)["token"])
    except (ValueError, KeyError, TypeError):
        return ""


def _keep(path: Path, token: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
    fresh.replace(path)


def found_company(machine: Machine, administrator: Aos) -> Company:
    """Make the next organization `demo-N` and invite Larkspur's people into it; the company's folder is not made yet."""
    names = [each["name"] for each in administrator.get("/organizations")["items"]]
    numbers = [int(name.removeprefix(PREFIX)) for name in names if name.removeprefix(PREFIX).isdigit()]
    number = max(numbers, default=0) + 1
    folder = machine.folder / "demo"
    while (folder / f"{PREFIX}{number}").exists():
        number += 1
    name = f"{PREFIX}{number}"
    body = {"name": name, "currency": "EUR", "timezone": "Europe/Berlin", "environment": "demo", "run_clock": True}
    administrator.post("/organizations", body)
    inside = Aos(machine.url, administrator.token, name)
    people = {email: _enter(inside, _invite(inside, email, NAMES[email], [role])) for email, role in ROLES.items()}
    guest = _invite(inside, GUEST, "Guest of the demo", sorted(ROLES.values()))
    return Company(name, folder / name, inside, people[MARIA], people[TOMAS], people[INES], guest)


def _invite(administrator: Aos, email: str, name: str, roles: list[str]) -> str:
    """Invite a person and return their one-time link."""
    return str(administrator.post("/people", {"email": email, "name": name, "roles": roles})["link"])


def _enter(administrator: Aos, link: str) -> Aos:
    return Aos(administrator.url, _exchange(administrator.url, link), administrator.organization)


def read_manifest(folder: Path, *, owner: str, drafter: Drafter | None = None) -> dict[str, Any]:
    """Return the example's manifest for one company: each Python tool works in its folder, `owner` answers for the agents.

    `drafter` is its one model; without it nobody may ask any.
    """
    manifest: dict[str, Any] = YAML(typ="safe", pure=True).load(MANIFEST.read_text("utf-8"))
    for tool in manifest["tools"].values():
        if "python" in tool:
            tool["fixed"] = {COMPANY_ARGUMENT: str(folder)}
    for agent in manifest["agents"].values():
        agent["owner"] = owner
    if drafter is None:
        without_models(manifest)
    else:
        drafter.into(manifest)
    return manifest


def apply_manifest(company: Company, drafter: Drafter | None = None) -> dict[str, int]:
    """Apply the manifest, the drafting model's key set before, and return how many things of each kind it made."""
    if drafter is not None and drafter.key:
        company.administrator.post("/secrets", {"name": drafter.provider, "value": drafter.key})
    manifest = read_manifest(company.folder, owner=MARIA, drafter=drafter)
    applied = company.administrator.post("/manifest", {"manifest": manifest})
    if applied.get("waits"):
        raise DemoError(f"the manifest waits for a person: {', '.join(applied['waits'])}")
    counts: dict[str, int] = {}
    for change in applied["changes"]:
        counts[change["kind"]] = counts.get(change["kind"], 0) + 1
    return counts
