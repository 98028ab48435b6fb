#!/usr/bin/env python3
"""A courier outside AOS: it fetches its tasks, calls a tool for each through the gate, and answers, over plain HTTP.

Nothing of AOS and nothing but the standard library is imported: what stands here can be written in any language that has
HTTP and JSON. `AOS_URL` and `AOS_API_KEY` come from `aos agents env courier`; `--tasks N` ends it after so many answers.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import urllib.error
import urllib.request

URL = os.environ.get("AOS_URL", "http://127.0.0.1:8470")
WAIT_SECONDS = 30
"""How long AOS may keep the question for tasks open: it answers as soon as there is one."""


class Refused(Exception):
    """AOS answered with a problem."""

    def __init__(self, status, problem):
        super().__init__(f"{status} {problem.get('title')}: {problem.get('detail')}")
        self.status, self.slug = status, problem.get("type", "").rpartition(":")[2]


def post(path, body, token, headers=None):
    """Send JSON, return the status and the JSON that comes back."""
    request = urllib.request.Request(URL + path, method="POST", data=json.dumps(body).encode())
    for name, value in {
        "content-type": "application/json",
        "authorization": f"Bearer {token}",
        **(headers or {}),
    }.items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_SECONDS + 15) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        raise Refused(error.code, json.load(error)) from None


def keep(task, lease_seconds, done):
    """Renew the task's lease until it is done; a task whose lease runs out is given to somebody else."""
    while not done.wait(lease_seconds / 3):
        try:
            post(f"/tasks/{task['task_id']}/heartbeat", {}, task["token"])
        except (Refused, OSError) as error:
            print(f"{task['task_id']}: {error}", flush=True)


def work_on(task):
    """Label the parcel and return what became of it; None where a person is asked first and the task comes again later."""
    parcel = task["input"]["parcel"]
    # The key makes the call once, however often the task is worked on: after a crash, or after a person's yes.
    key = {"idempotency-key": f"{task['task_id']}/label"}
    status, answer = post("/tools/parcels.label/call", {"arguments": {"parcel": parcel}}, task["token"], key)
    if status == 202:
        post(f"/tasks/{task['task_id']}/park", {"approval_id": answer["approval_id"]}, task["token"])
        return None
    return {"parcel": parcel, "label": answer["value"]["label"], "depot": answer["value"]["depot"]}


def answer(task, lease_seconds):
    """Work on one task and answer it, whatever happens."""
    done = threading.Event()
    beating = threading.Thread(target=keep, args=(task, lease_seconds, done), daemon=True)
    beating.start()
    try:
        output = work_on(task)
        if output is not None:
            post(f"/tasks/{task['task_id']}/complete", {"output": output}, task["token"])
        print(f"{task['name']}: {output or 'waits for a person'}", flush=True)
    except Refused as refused:
        if refused.slug == "stale-claim":  # taken away: cancelled, or given to somebody else
            return
        post(f"/tasks/{task['task_id']}/fail", {"error": refused.slug, "detail": str(refused)}, task["token"])
    finally:
        done.set()
        beating.join()


def main():
    """Fetch and answer tasks until enough are answered."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=0, help="end after so many tasks; 0 goes on")
    left = parser.parse_args().tasks
    endless = left == 0
    while endless or left > 0:
        _, taken = post("/tasks/take", {"max": 1, "wait": WAIT_SECONDS}, os.environ["AOS_API_KEY"])
        for task in taken["tasks"]:
            answer(task, taken["lease_seconds"])
            left -= 1


if __name__ == "__main__":
    main()
