"""The example of an agent outside AOS: registered, given tasks by a workflow, answering them with nothing but HTTP and JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.installation import installation

EXAMPLE = Path(__file__).parents[2] / "examples/outside_agent"
SECONDS = 60


def test_the_courier_of_the_guide_labels_every_parcel_of_the_run() -> None:
    with installation(AOS_AGENT_PATH=str(EXAMPLE)) as aos:
        link = re.search(r"aosl_[A-Za-z0-9_-]+", aos.up())
        assert link is not None
        aos.aos("login", link[0])
        aos.aos("apply", "--yes", "-f", str(EXAMPLE / "aos.yaml"))
        exports = dict(re.findall(r"export (\w+)=(\S+)", aos.aos("agents", "env", "courier")))
        given = {"PATH": os.environ["PATH"], **{name: value.strip("'\"") for name, value in exports.items()}}
        command = [sys.executable, "-S", "-I", str(EXAMPLE / "agent.py"), "--tasks", "2"]
        with subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as agent:
            said = aos.aos("run", "delivery", "--input", '{"parcels": ["P-1", "P-2"]}', "--json")
            printed, _ = agent.communicate(timeout=SECONDS)
        assert agent.returncode == 0, printed
        labels = [
            {"parcel": "P-1", "label": "LBL-P-1", "depot": "south"},
            {"parcel": "P-2", "label": "LBL-P-2", "depot": "north"},
        ]
        assert json.loads(said)["output"] == labels
        assert printed.count("LBL-") == 2
