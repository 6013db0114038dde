"""The schedules of a workflow file, and the patch that removes them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from executions.targets.github.workflow_inputs import Loader, Unreadable
from moving import workflow_file

FILE = """name: e2e
on:
  # at night
  schedule:
    - cron: "0 18 * * *"
    - cron: "0 6 * * 1"
      timezone: Asia/Tokyo

  workflow_dispatch:
    inputs:
      browser:
        type: choice
        default: chrome
        options: [chrome, firefox]
jobs:
  test:
    runs-on: ubuntu-latest
    steps: []
"""
PATH = ".github/workflows/e2e.yml"


def applied(text: str, patch: str) -> str:
    """The text after the removals of a unified diff."""
    removed = [line[1:] for line in patch.splitlines(keepends=True) if line.startswith("-") and line[:3] != "---"]
    lines = text.splitlines(keepends=True)
    start = next(place for place in range(len(lines)) if lines[place : place + len(removed)] == removed)
    return "".join(lines[:start] + lines[start + len(removed) :])


def test_schedules_and_zones_are_read() -> None:
    found = workflow_file.read(PATH, FILE)
    assert [(one.cron, one.zone) for one in found.timed] == [("0 18 * * *", ""), ("0 6 * * 1", "Asia/Tokyo")]
    assert (found.problems, found.changes) == ((), ())


@pytest.mark.parametrize(
    "text",
    [
        FILE,
        FILE.replace("  workflow_dispatch:", "  push:\n    branches: [main]\n  workflow_dispatch:"),
        "on:\n  workflow_dispatch:\n  schedule:\n  - cron: '0 0 * * *'\njobs: {}\n",
        "on:\n  workflow_dispatch:\n  schedule:\n    - cron: '0 0 * * *' # midnight\n\n# the jobs\njobs: {}\n",
    ],
)
def test_the_patch_removes_the_schedules_and_nothing_else(text: str) -> None:
    patch = workflow_file.removal(PATH, text)
    assert patch.startswith(f"--- a/{PATH}\n+++ b/{PATH}\n")
    assert [line for line in patch.splitlines() if line.startswith("+") and line[:3] != "+++"] == []
    before, after = (yaml.load(one, Loader=Loader) for one in (text, applied(text, patch)))
    del before["on"]["schedule"]
    assert after == before


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("on: {schedule: [{cron: '0 0 * * *'}], workflow_dispatch: null}\n", ["on: {workflow_dispatch: null}"]),
        ("on: {workflow_dispatch: null, schedule: [{cron: '0 0 * * *'}]}\n", ["on: {workflow_dispatch: null}"]),
        ("on:\n  schedule: [{cron: '0 0 * * *'}]\n  workflow_dispatch:\njobs: {}\n", []),
        ("on:\n  workflow_dispatch:\n  schedule: [\n    {cron: '0 0 * * *'},\n  ]\njobs: {}\n", []),
    ],
)
def test_schedules_in_flow_style_are_removed_too(text: str, left: list[str]) -> None:
    patch = workflow_file.removal(PATH, text)
    assert "-" in patch
    assert [line[1:] for line in patch.splitlines() if line.startswith("+") and line[:3] != "+++"] == left


@pytest.mark.parametrize("text", ["on: &x\n  schedule: [{cron: '0 0 * * *'}]\n  push:\nenv: *x\n", "on: push\n"])
def test_what_would_change_more_has_no_patch(text: str) -> None:
    assert workflow_file.removal(PATH, text) == ""


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("  workflow_dispatch:\n    inputs:", "  push:\n    x:", "add 'workflow_dispatch'"),
        ("default: chrome", "required: true", "'browser' is required and has no default"),
        ("steps: []", "if: github.event.schedule == '0 18 * * *'", "github.event.schedule"),
    ],
)
def test_what_a_job_cannot_do_says_why(old: str, new: str, reason: str) -> None:
    assert reason in " ".join(workflow_file.read(PATH, FILE.replace(old, new)).problems)


@pytest.mark.parametrize("given", ["true", "True", "TRUE", "'true'"])
def test_yaml_has_several_ways_to_write_true(given: str) -> None:
    found = workflow_file.read(PATH, FILE.replace("default: chrome", f"required: {given}"))
    assert "'browser' is required and has no default" in " ".join(found.problems)


@pytest.mark.parametrize("name", ["github.event['schedule']", 'github.event[ "schedule" ]', "github . event.schedule"])
def test_the_schedule_of_the_event_in_other_words(name: str) -> None:
    assert workflow_file.read(PATH, FILE.replace("steps: []", f"name: ${{{{ {name} }}}}")).problems


def test_files_without_a_final_newline_have_patches_too(tmp_path: Path) -> None:
    trigger = "on:\n  workflow_dispatch:\n  schedule:\n    - cron: '0 0 * * *'"
    texts = {"a.yml": f"{trigger}\njobs:\n  a:\n    uses: o/r/x.yml@main", "b.yml": f"jobs: {{}}\n{trigger}"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    patch = "".join(workflow_file.removal(name, text) for name, text in texts.items())
    subprocess.run(["git", "apply"], input=patch.encode(), cwd=tmp_path, check=True)
    assert ["schedule" in (tmp_path / name).read_text() for name in texts] == [False, False]


@pytest.mark.parametrize(
    "question",
    [
        "github.event_name == 'schedule'", "github.event_name != 'schedule'", "github.event_name=='schedule'",
        "'schedule' == github.event_name", "github['event_name'] == 'schedule'", '"$EVENT_NAME" == "schedule"',
    ],
)  # fmt: skip
def test_a_question_for_the_event_is_a_change(question: str) -> None:
    text = FILE.replace("steps: []", f"if: >-\n      {question}")
    assert "whether the event is 'schedule'" in workflow_file.read(PATH, text).changes[0]


@pytest.mark.parametrize("text", ["- 1", "on: &a [x]\nb: *a", "x" * 1_000_000, "on: {" * 200, ""])
def test_odd_files_are_refused_with_a_reason(text: str) -> None:
    with pytest.raises(Unreadable):
        workflow_file.read(PATH, text)


@pytest.mark.parametrize("text", ["on: push\n", "on: [push, schedule]\n", "on:\n  schedule:\n", "jobs: {}\n"])
def test_files_without_schedules_have_none(text: str) -> None:
    assert workflow_file.read(PATH, text).timed == ()
