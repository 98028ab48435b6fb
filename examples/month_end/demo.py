"""`make demo`: Larkspur's agents close a month under AOS, from an empty machine to the bill and the proof.

A user's program: it uses the command `aos` and REST, nothing of AOS's inside. Each call makes a fresh company in a new
organization `demo-N`. It ends with 0 only if everything that it tells holds; else it says what does not.

    python -m examples.month_end.demo          # ASK=1 asks you what it would ask the company's approver
"""

import json
import os
import sys
import time
from decimal import Decimal
from typing import Any

from examples.month_end.demo_answers import Approver, ask_person
from examples.month_end.demo_aos import DemoError, Machine, read_status, start_aos
from examples.month_end.demo_canaries import fire
from examples.month_end.demo_models import WITHOUT, Drafter, count_drafts, find_draft_problems, find_drafter
from examples.month_end.demo_people import Company, apply_manifest, found_company, sign_in
from examples.month_end.demo_proof import prove
from examples.month_end.demo_results import Evidence, find_cost_problems, find_problems, tally
from examples.month_end.demo_run import Watched, gather_evidence, kill_worker, start_run, wait_settled, watch_run
from examples.month_end.demo_story import Story, choose_acts, count_findings, make_console
from examples.month_end.demo_watch import Screen
from examples.month_end.folder import ANSWERS_FILE, OUTBOX_FOLDER, CompanyError
from examples.month_end.generate import generate
from examples.month_end.money import amount_text

SEED = 7
Actions = list[dict[str, Any]]


def main() -> int:
    """Run the demo and return its exit status."""
    story = Story(make_console())
    asks = os.environ.get("ASK", "") not in ("", "0")
    try:
        problems = run_demo(story, asks=asks)
    except (DemoError, CompanyError) as error:
        story.bad(str(error))
        return 1
    except KeyboardInterrupt:
        story.bad("stopped; AOS and what was begun go on: `aos runs list`, `make down`")
        return 130
    return 1 if problems else 0


def run_demo(story: Story, *, asks: bool) -> list[str]:
    """Close the month once and return what does not hold."""
    began = time.monotonic()
    ask = ask_person(story.console) if asks else None
    story.title("AOS demo", "Larkspur, an invented maker of outdoor lamps, closes October 2026 with its agents")
    company, machine, drafter = prepare(story)
    approver = Approver(company.tomas, company.folder, ask)
    watched = work(story, company, approver, drafter)
    problems = tell(story, company, watched, approver=approver, drafter=drafter)
    farewell(story, company, machine, watched, problems=problems, seconds=time.monotonic() - began)
    return problems


def prepare(story: Story) -> tuple[Company, Machine, Drafter | None]:
    """Bring up AOS, make the company, its organization, its people and its model, and try the closed doors."""
    story.section("AOS and the company")
    machine = start_aos(story.line)
    status = read_status()
    governed, drafter = bool(status.get("governed")), find_drafter(os.environ, status)
    story.good(f"AOS serves at {machine.url}" + (f", up in {machine.seconds:.1f} s" if machine.said else ", it was up"))
    administrator = sign_in(machine)
    company = found_company(machine, administrator)
    made = generate(company.folder, seed=SEED)
    counts = apply_manifest(company, drafter)
    story.good(
        f"organization {company.organization}: {made.invoices} invoices, {made.vendors} vendors, {made.orders} orders, "
        f"{made.messages} e-mails, made from seed {SEED}"
    )
    story.good(
        "from aos.yaml: "
        + ", ".join(f"{counts.get(kind, 0)} {kind}s" for kind in ("agent", "tool", "budget"))
        + f", {counts.get('policy', 0)} policies; Maria operates, Tomas approves, Ines audits"
    )
    story.section("Acts that must be refused, tried before any work")
    story.canaries(fire(company.administrator, company.folder), governed=governed)
    if not governed:
        raise DemoError("AOS does not report itself governed: see `aos status`")
    return company, machine, drafter


def work(story: Story, company: Company, approver: Approver, drafter: Drafter | None) -> Watched:
    """Have the agents close the month, with a person's answers and a worker killed in the middle."""
    run_id = start_run(company.maria, label=company.organization, drafter=drafter)
    story.section("The plan of the executive agent")
    story.plan(read_reports(company, run_id, until="plan"))
    story.section("Agents at work")
    story.line(f"what they ask a person is answered by {approver.name}")
    story.line(drafter.told if drafter is not None else "letters come from a template, no model writes here")
    watched = watch_run(company, run_id, screen=Screen(story.console), approver=approver, kill=kill_worker)
    if watched.run["state"] != "succeeded":
        failed = [task for task in watched.run["tasks"] if task["state"] == "failed"]
        why = "; ".join(f"{task['agent']}: {task['detail'] or task['error']}" for task in failed[:3])
        raise DemoError(f"the run {watched.run['state']}: {why or watched.run['error']}")
    story.good(
        f"the month is closed after {watched.seconds:.0f} s: {watched.run['tasks_total']} tasks, {watched.run['actions']:,} acts"
    )
    return watched


def read_reports(company: Company, run_id: str, *, until: str) -> list[dict[str, Any]]:
    """Return what the run's agents reported, once a report that holds `until` is there."""
    deadline = time.monotonic() + 30
    while True:
        reports = list(company.maria.items(f"/runs/{run_id}/reports"))
        if any(isinstance(each["value"], dict) and until in each["value"] for each in reports):
            return reports
        if time.monotonic() > deadline:
            raise DemoError(f"no agent reported a {until} within 30 s: look with `aos runs show {run_id}`")
        time.sleep(0.2)


def tell(story: Story, company: Company, watched: Watched, *, approver: Approver, drafter: Drafter | None) -> list[str]:
    """Tell what came of it and return what does not hold."""
    actions: Actions = list(company.maria.items("/actions", order="created"))
    expected = json.loads((company.folder / ANSWERS_FILE).read_text("utf-8"))
    evidence = gather_evidence(company, watched, actions=actions, expected=expected)
    judged = watched.run["output"]["closed"]["judged"]
    problems = find_problems(judged, evidence)
    problems += tell_acts(story, evidence, approver)
    problems += tell_kill(story, company, watched, evidence, actions)
    problems += tell_letters(story, company, drafter, actions)
    problems += tell_observer(story, evidence)
    story.section("The month, by invoices and money")
    story.result(tally(judged))
    story.section("Acts and decisions")
    story.acts([each for each in actions if each["run_id"] == watched.run["id"]])
    problems += tell_costs(story, company, actions)
    problems += tell_proof(story, company, evidence)
    return problems


def tell_acts(story: Story, evidence: Evidence, approver: Approver) -> list[str]:
    """Tell three payments: allowed, asked, refused."""
    story.section("Three payments")
    chosen = choose_acts(evidence.payments)
    answers = {answer.invoice: answer for answer in approver.given}
    for name, title in (("allowed", "allowed"), ("asked", "a person was asked"), ("origin", "refused")):
        if name in chosen:
            act = chosen[name]
            story.act(title, act, answer=answers.get(act["arguments"]["invoice"]), who=approver.name)
    if "origin" in chosen:
        story.line("the e-mail's wording was not looked at: the gate knows where each argument came from")
    said = [answer.approved for answer in approver.given]
    story.good(
        f"asked {len(said)} times: {said.count(True)} times yes, {said.count(False)} times no, by {approver.name}"
    )
    return [f"no payment to tell that was {name}" for name in ("allowed", "asked", "origin") if name not in chosen]


def tell_kill(story: Story, company: Company, watched: Watched, evidence: Evidence, actions: Actions) -> list[str]:
    """Tell that a worker was killed and nothing done twice."""
    story.section("A worker killed on purpose")
    if watched.kill is None:
        return ["no worker was killed: the run ended before"]
    performed = sum(1 for each in evidence.payments if each["state"] == "performed")
    cut = sum(1 for each in actions if each["state"] == "unknown")
    letters = len(list((company.folder / OUTBOX_FOLDER).glob("*.eml")))
    story.good(
        f"kill -9 {watched.kill.pid} after {watched.kill.after_seconds:.0f} s, {watched.kill.payments} payments made, "
        f"{watched.kill.at_work} tasks at work; a new worker took them and went on"
    )
    story.good(
        f"{cut} calls were cut off in the middle: recorded as of unknown outcome, then asked again under the same keys"
    )
    story.good(
        f"{performed} payments recorded, {len(evidence.bank)} lines in the bank's file, "
        f"{len({each['invoice'] for each in evidence.bank})} invoices paid, none twice; {letters} letters sent"
    )
    return []


def tell_letters(story: Story, company: Company, drafter: Drafter | None, actions: Actions) -> list[str]:
    """Tell which model drafted, what of it was taken, and what it used."""
    story.section("The letters")
    drafted = count_drafts(company.folder, actions, company.maria.get("/usage", by="agent"))
    if drafter is None:
        story.line(f"{drafted.letters} letters, all from templates: {WITHOUT}", mark="◇")
    else:
        story.good(f"{drafter.model}: {drafted.told}")
        if drafted.cut_off:
            story.line(f"{drafted.cut_off} calls were cut off by the kill, and asked again")
        if drafted.failed:
            story.line(f"{drafted.failed} calls were not answered ({drafted.why}): their letters go without")
        story.line("a model decides nothing here: it was shown no invoice, and no fact of a letter is its own")
    return find_draft_problems(drafted, drafter)


def tell_observer(story: Story, evidence: Evidence) -> list[str]:
    """Tell what the observer found."""
    story.section("The observer")
    found = count_findings(evidence.audited)
    story.line(
        f"compared {evidence.audited['actions']:,} acts with {evidence.audited['payments']} payments in the bank's file",
        mark="◇",
    )
    for each in evidence.audited["findings"]:
        story.line(f"{each['code']}: {each['invoice']}", mark="!", style="yellow")
    return [] if found else ["the observer found nothing, and there were attacks"]


def tell_costs(story: Story, company: Company, actions: Actions) -> list[str]:
    """Tell cost by department against the budgets, and hold the sums against the acts' own prices."""
    usage = wait_settled(company)
    story.section("Cost by department, against its budget")
    story.costs(usage)
    return find_cost_problems(usage, actions)


def tell_proof(story: Story, company: Company, evidence: Evidence) -> list[str]:
    """Tell that the log is proved by a file without AOS code, and that a changed copy is not."""
    story.section("The proof, by a file without AOS code")
    paid = next(each for each in evidence.payments if each["state"] == "performed")
    record = next(each for each in paid["records"] if each["kind"] == "act.performed")
    proof = prove(company.ines, company.folder, record_id=record["id"])
    story.proof(proof)
    return [] if proof.holds else ["the proof does not hold, or a changed log passes"]


def farewell(
    story: Story, company: Company, machine: Machine, watched: Watched, *, problems: list[str], seconds: float
) -> None:
    """Tell whether all holds, where to look, what to type next and how to stop."""
    story.section("All of it adds up" if not problems else "This does not add up")
    for problem in problems:
        story.bad(problem)
    if not problems:
        paid = next(line for line in tally(watched.run["output"]["closed"]["judged"]) if line.outcome == "paid")
        story.good(
            f"invoices, money, bank file, books, decisions, answers, costs, budgets and log agree: {paid.invoices} invoices "
            f"paid, {Decimal(amount_text(paid.eur_cents)):,.2f} EUR, in {seconds:.0f} s"
        )
    run = watched.run["id"]
    story.section("Look and go on")
    story.line("this run in the console; the link signs you in once, as a guest who may operate, approve and audit:")
    story.link(f"{machine.url}/console/sign-in?link={company.guest_link}&next=/console/runs/{run}")
    for command, what in (
        (f"./aos --org {company.organization} trace last --only refused", "what was refused, and why"),
        (f"./aos --org {company.organization} usage --by agent", "who cost what"),
        (f"./aos --org {company.organization} audit verify", "check the log on this machine"),
        ("ASK=1 make demo", "the next month-end, and you are the approver"),
        ("make down", "stop AOS; what was done stays"),
    ):
        story.line(f"{command}    # {what}", mark="$")
    story.line(f"the company's files: {company.folder}")


if __name__ == "__main__":
    sys.exit(main())
