"""Takes the pictures of the README from a seeded console: `python -m tests.e2e.console_pictures` writes docs/images."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.databases import cloned, server
from tests.e2e.console_pages import ARGUMENTS, ROOT, Console
from tests.folders import new_folder
from tests.servers import NEWEST_MAJOR

IMAGES = ROOT / "docs/images"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: which page, how large, light or dark."""

    name: str
    page: str
    width: int = 1280
    height: int = 860
    scheme: str = "light"


PICTURES = (
    Picture("console-run-light", "run"),
    Picture("console-run-dark", "run", scheme="dark"),
    Picture("console-act", "act", height=1000),
    Picture("console-approval", "approval"),
    Picture("console-cost", "cost", height=720),
    Picture("console-phone", "run", width=390, height=844, scheme="dark"),
)


def take(browser: Browser, console: Console, picture: Picture, folder: Path) -> Path:
    """Take one picture and return its file."""
    size = {"width": picture.width, "height": picture.height}
    path = console.addresses()[picture.page]
    page = console.signed_in(browser, path, viewport=size, color_scheme=picture.scheme)  # type: ignore[arg-type]
    file = folder / f"{picture.name}.png"
    page.screenshot(path=str(file))
    page.context.close()
    return file


def main() -> None:
    """Seed, start, take every picture, end."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for database in cloned(server(NEWEST_MAJOR)):
        given = {
            "owner": database.owner,
            "app": database.app,
            "machine": database.machine,
            "keys": f"{new_folder('keys')}/kek",
        }
        command = [sys.executable, "-m", "tests.e2e.console_server"]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(given) + "\n")
            process.stdin.flush()
            told = json.loads(process.stdout.readline())
            console = Console(told["url"], database, told["run_id"], told["other_run_id"], told["links"])
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
                for picture in PICTURES:
                    file = take(browser, console, picture, IMAGES)
                    print(f"{file.relative_to(ROOT)}  {file.stat().st_size // 1000} kB")
                browser.close()
            process.stdin.close()


if __name__ == "__main__":
    main()
