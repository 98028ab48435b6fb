"""The layers hold: what import-linter and ruff are configured to refuse, they are seen to refuse.

Two rules live here because no tool has them: what the kernel may import, and in which home a banned name may stand.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = str(Path(sys.executable).parent)

# The standard library's pure parts: no clock, no chance, no files, no processes, no network, no threads.
PURE = frozenset(
    "__future__ abc array ast base64 binascii bisect calendar collections copy dataclasses datetime decimal difflib enum "
    "fractions functools graphlib hashlib heapq hmac html ipaddress itertools json keyword math numbers operator re "
    "statistics string struct textwrap types typing unicodedata urllib.parse uuid zlib".split()
)
KERNEL_PACKAGES = frozenset({"msgspec", "cel_expr_python"})

# Where a banned name may stand after all: its home. Whatever ruff finds anywhere else is refused, `noqa` or not.
CLOCK = ["src/aos/drivers/clock*.py", "src/aos/drivers/ids*.py", "src/aos_sdk/langchain/*"]
IDS = ["src/aos/drivers/ids*.py"]
ENVIRONMENT = ["src/aos/boot/*", "src/aos_sdk/langchain/*"]
SIGNALS = ["src/aos/boot/*", "src/aos/workers/*", "src/aos_sdk/host*"]
LATE_IMPORT = ["src/aos/boot/*", "src/aos_sdk/*"]
HOMES = {
    "time.": CLOCK,
    "datetime.": CLOCK,
    "django.utils.timezone.": [],
    "os.": ENVIRONMENT,
    "signal.": SIGNALS,
    "uuid": IDS,
    "random.": [],
    "PLC0415": LATE_IMPORT,
}


def graph_of(package: str, folder: Path) -> grimp.ImportGraph:
    """Build the import graph of one package, from the folder given and no other."""
    sys.path.insert(0, str(folder))
    try:
        return grimp.build_graph(package, include_external_packages=True, cache_dir=None)
    finally:
        sys.path.remove(str(folder))


def find_impure_imports(graph: grimp.ImportGraph, kernel: str) -> list[str]:
    """Return the imports of the kernel that lead out of it and are not on its list."""
    found: list[str] = []
    for module in sorted({kernel} | graph.find_descendants(kernel)):
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            if imported == kernel or imported.startswith(f"{kernel}."):
                continue
            lines = [row["line_contents"] for row in graph.get_import_details(importer=module, imported=imported)]
            dotted = all(re.search(rf"\b{imported}\.parse\b", line) for line in lines)
            if imported not in PURE | KERNEL_PACKAGES and not (dotted and f"{imported}.parse" in PURE):
                found.append(f"{module} imports {imported}")
    return found


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return graph_of("aos", ROOT / "src")


def test_the_kernel_imports_only_what_is_pure(graph: grimp.ImportGraph) -> None:
    assert find_impure_imports(graph, "aos.kernel") == []


def test_conditions_are_compiled_in_one_module(graph: grimp.ImportGraph) -> None:
    if "cel_expr_python" in graph.modules:
        (wrapper,) = graph.find_modules_that_directly_import("cel_expr_python")
        assert wrapper == "aos.kernel.cel"


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("import os", "os"),
        ("from time import monotonic", "time"),
        ("import random", "random"),
        ("import django.db", "django"),
        ("from urllib.request import urlopen", "urllib"),
        ("from urllib.parse import urlsplit", None),
        ("import msgspec", None),
        ("from collections.abc import Mapping", None),
    ],
)
def test_an_impure_import_of_the_kernel_is_refused(line: str, refused: str | None, tmp_path: Path) -> None:
    package = f"sample_{abs(hash(line))}"
    (tmp_path / package / "kernel").mkdir(parents=True)
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / "kernel/__init__.py").touch()
    (tmp_path / package / "kernel/rule.py").write_text(f"{line}\n")
    found = find_impure_imports(graph_of(package, tmp_path), f"{package}.kernel")
    assert found == ([f"{package}.kernel.rule imports {refused}"] if refused else [])


def test_celery_stands_in_one_driver_that_nobody_imports_before_it_is_asked_for(graph: grimp.ImportGraph) -> None:
    (driver,) = graph.find_modules_that_directly_import("celery")
    assert driver == "aos.drivers.celery_queue"
    (importer,) = graph.find_modules_that_directly_import(driver)
    text = (ROOT / "src" / Path(*importer.split("."))).with_suffix(".py").read_text("utf-8")
    lines = [line for line in text.splitlines() if driver in line]
    assert importer == "aos.boot.engines"
    assert all(line.startswith("    ") for line in lines)


def test_asynchronous_operations_know_no_django(graph: grimp.ImportGraph) -> None:
    """What is asynchronous is hot, whether or not the contract's list names it yet."""
    for path in sorted((ROOT / "src/aos/operations").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        if re.search(r"^ *async def ", path.read_text("utf-8"), re.MULTILINE) and "django" in graph.modules:
            assert graph.find_shortest_chain(importer=module, imported="django") is None, module


# --- the homes of what ruff bans


def lint(*arguments: str, stdin: str | None = None) -> list[tuple[str, str, str]]:
    """Run ruff with the project's rules; return path, rule and message of each finding."""
    command = [f"{BIN}/ruff", "check", "--no-cache", "--output-format", "json", "--config", "pyproject.toml"]
    run = subprocess.run([*command, *arguments], input=stdin, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode in {0, 1}, run.stderr
    return [(os.path.relpath(row["filename"], ROOT), row["code"], row["message"]) for row in json.loads(run.stdout)]


def is_at_home(path: str, code: str, message: str) -> bool:
    """Tell whether a banned name stands where it may."""
    what = message.strip("`") if code == "TID251" else code
    homes = [home for name, places in HOMES.items() if what.startswith(name) for home in places]
    return any(fnmatchcase(path, home) for home in homes)


EVERYWHERE = ("--select", "TID251,PLC0415", "--ignore-noqa", "--config", "lint.per-file-ignores={}")


def test_what_is_banned_stands_only_in_its_home() -> None:
    assert [finding for finding in lint(*EVERYWHERE, "src") if not is_at_home(*finding)] == []


@pytest.mark.parametrize(
    ("path", "line", "allowed"),
    [
        ("operations/runs.py", "import time\nx = time.time()", False),
        ("operations/runs.py", "import time\nx = time.monotonic()", True),
        ("operations/runs.py", "from datetime import datetime\nx = datetime.now()", False),
        ("operations/runs.py", "import os\nx = os.environ['AOS_URL']", False),
        ("operations/runs.py", "import os\nx = os.getenv('AOS_URL')  # noqa: TID251", False),
        ("operations/runs.py", "import signal\nsignal.signal(2, print)", False),
        ("drivers/postgres.py", "import signal\nx = signal.SIGTERM", True),
        ("operations/runs.py", "import uuid\nx = uuid.uuid4()", False),
        ("operations/runs.py", "import random\nx = random.random()", False),
        ("operations/runs.py", "def f():\n    import json\n    return json", False),
        ("boot/main.py", "def f():\n    import json\n    return json", True),
        ("boot/config.py", "import os\nx = os.environ['AOS_URL']", True),
        ("boot/config.py", "import time\nx = time.time()", False),
        ("workers/loop.py", "import signal\nsignal.signal(2, print)", True),
        ("workers/loop.py", "import os\nx = os.environ['AOS_URL']", False),
        ("drivers/clock.py", "import time\nx = time.time()", True),
        ("drivers/clock.py", "import os\nx = os.environ['AOS_URL']", False),
        ("drivers/ids.py", "import uuid_utils\nx = uuid_utils.uuid7()", True),
    ],
)
def test_what_is_banned_is_found_outside_its_home(path: str, line: str, *, allowed: bool) -> None:
    found = lint(*EVERYWHERE, "--stdin-filename", f"src/aos/{path}", "-", stdin=f'"""Sample."""\n\n{line}\n')
    assert all(is_at_home(*finding) for finding in found) is allowed


# --- the import contracts, on a copy of the folders with nothing but one bad import each

BROKEN = {
    "imports point down the layers": ("aos/kernel/bad.py", "import aos.operations"),
    "faces reach the store and the drivers through operations alone": ("aos/cli/bad.py", "import aos.store"),
    "only boot knows the drivers": ("aos/operations/bad.py", "import aos.drivers.ids"),
    "one driver knows Celery": ("aos/workers/bad.py", "import celery"),
    "drivers know nothing of each other": ("aos/drivers/bad.py", "import aos.drivers.ids"),
    "tables are private to the store": ("aos/operations/worse.py", "import aos.store.models"),
    "the hot store knows of the other rooms only the SQL files and the rows": (
        "aos/store/hot/bad.py",
        "import aos.store.cold",
    ),
    "what is hot knows no Django": ("aos/operations/gate.py", "import aos.store.cold"),
    "the SDK imports nothing of AOS": ("aos_sdk/bad.py", "import aos.kernel.errors"),
    "no cycles": ("aos/kernel/policy/bad.py", "import aos.kernel.errors"),
}


def verdicts(folder: Path, files: dict[str, str]) -> dict[str, str]:
    """Lay out the layers with the given files in a folder, lint their imports, return each contract's verdict."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in PACKAGES:
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
    for path, text in files.items():
        (folder / path).write_text(text + "\n")
    command = [f"{BIN}/lint-imports", "--no-cache", "--no-logo"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "COLUMNS": "200"}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    found = dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", run.stdout, re.MULTILINE))
    assert found.keys() >= BROKEN.keys(), run.stdout + run.stderr
    return found


PACKAGES = (
    "aos aos/boot aos/control_plane aos/data_plane aos/workers aos/console aos/cli aos/operations aos/store "
    "aos/store/cold aos/store/hot aos/store/models aos/store/migrations aos/drivers aos/telemetry aos/kernel "
    "aos/kernel/policy aos_sdk".split()
)
GROUND = {
    "aos/drivers/ids.py": "import uuid",
    "aos/kernel/errors.py": "import typing",
    "aos/store/cold/__init__.py": "import django.db",
    "aos/store/rows.py": "import typing",
    "aos/store/hot/gate.py": "import aos.store.rows",
    "aos/operations/agents.py": "import aos.store.cold",
    "aos/data_plane/front.py": "import aos.operations",
    "aos/boot/main.py": "import aos.drivers.ids",
}


def test_an_honest_tree_keeps_every_contract(tmp_path: Path) -> None:
    assert set(verdicts(tmp_path, GROUND).values()) == {"KEPT"}


def test_each_contract_is_broken_by_its_bad_import(tmp_path: Path) -> None:
    cycle = {"aos/kernel/errors.py": "import aos.kernel.policy"}
    bad = dict(BROKEN.values())
    assert set(verdicts(tmp_path, GROUND | cycle | bad).values()) == {"BROKEN"}


def test_a_folder_that_is_in_no_layer_is_refused(tmp_path: Path) -> None:
    found = verdicts(tmp_path, {"aos/misc.py": "import typing"})
    assert found.pop("imports point down the layers") == "BROKEN"
    assert set(found.values()) == {"KEPT"}
