"""What failed in a workflow run: its failed jobs with their first failed step, and the annotations of the first ones
(GitHub REST: "List jobs for a workflow run", "List check run annotations").

It is asked once, when a run has ended badly, and again if GitHub refuses for a rate limit or is out of order; without
an answer the end is told without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import requests

from executions.budgets import Pause
from executions.targets.github import api
from executions.targets.github.limits import RateLimited

log = logging.getLogger("cronsched.following")
# Conclusions of jobs that are failures, and of runs that have such jobs.
FAILED = ("failure", "timed_out")
_MOST_JOBS, _MOST_ANNOTATIONS, _JOBS_WITH_ANNOTATIONS = 10, 5, 3
_LONGEST_NAME, _LONGEST_ANNOTATION, _LONGEST_SUMMARY = 120, 300, 300
# The annotation that GitHub adds to each failed step; it says nothing.
_NOISE = "Process completed with exit code"


# The annotation of a run whose place a newer one of its concurrency group has taken (GitHub, "Control the concurrency
# of workflows and jobs").
_DISPLACED = "higher priority waiting request"


class NotNow(Exception):
    """GitHub cannot be asked now. `pause`: what it asks for, if it refused for a rate limit."""

    def __init__(self, pause: Pause | None = None) -> None:
        super().__init__("GitHub cannot be asked what failed now")
        self.pause = pause

    @classmethod
    def of(cls, error: requests.RequestException) -> NotNow:
        return cls(error.pause if isinstance(error, RateLimited) else None)


class FailedJob(NamedTuple):
    """A failed job of a run: its name, its first failed step ('' if GitHub names none), its page, its annotations, and
    its id on GitHub.
    """

    name: str
    step: str
    url: str
    annotations: tuple[str, ...] = ()
    id: int = 0

    @property
    def words(self) -> str:
        return f"{self.name} > {self.step}" if self.step else self.name


def of_run(owner: str, repo: str, run_id: int, token: str) -> list[FailedJob]:
    """The failed jobs of the run's latest attempt, at most 10, with at most 5 annotations in all. Raises `NotNow`."""
    base = f"/repos/{owner}/{repo}"
    told = _told(f"{base}/actions/runs/{run_id}/jobs?filter=latest&per_page=100", token)
    jobs = told.get("jobs") if isinstance(told, dict) else None
    failed = [one for one in _objects(jobs) if one.get("conclusion") in FAILED][:_MOST_JOBS]
    left, found = _MOST_ANNOTATIONS, []
    for place, job in enumerate(failed):
        notes: tuple[str, ...] = ()
        if left and place < _JOBS_WITH_ANNOTATIONS and isinstance(job.get("id"), int):
            path = f"{base}/check-runs/{job['id']}/annotations?per_page=50"
            notes = tuple(_annotations(_told(path, token)))[:left]
            left -= len(notes)
        step = next((one for one in _objects(job.get("steps")) if one.get("conclusion") in FAILED), {})
        name, url = _line(job.get("name"), _LONGEST_NAME), api.page_of_run(job.get("html_url"))
        job_id = job["id"] if isinstance(job.get("id"), int) else 0
        words = api.hide(name, token), api.hide(_line(step.get("name"), _LONGEST_NAME), token)
        found.append(FailedJob(*words, url, tuple(api.hide(note, token) for note in notes), job_id))
    return found


def is_displaced(owner: str, repo: str, run_id: int, token: str, *, has_newer: Callable[[], bool]) -> bool:
    """Whether a newer run of its concurrency group took the place of a cancelled run before any job of it began.
    `has_newer`: whether a newer run of the group is there; without a job to ask, that decides. Raises `NotNow`.
    """
    base = f"/repos/{owner}/{repo}"
    told = _told(f"{base}/actions/runs/{run_id}/jobs?filter=latest&per_page=100", token)
    if not isinstance(told, dict):
        return False
    jobs = list(_objects(told.get("jobs")))
    if any(job.get("steps") or job.get("conclusion") not in ["cancelled", "skipped", None] for job in jobs):
        return False
    if not jobs:
        return has_newer()
    notes = _objects(_told(f"{base}/check-runs/{jobs[0].get('id')}/annotations?per_page=50", token))
    return any(_DISPLACED in str(one.get("message")) for one in notes)


def summary(failed: list[FailedJob]) -> str:
    """One line for messages, such as "e2e (chrome) > Run Playwright: login.spec.ts:41: timeout; lint > Run ruff; and 2
    more jobs": the first job with its first annotation, and as many others as there is room for.
    """
    if not failed:
        return ""
    first, others = failed[0], [job.words for job in failed[1:]]
    text = f"{first.words}: {first.annotations[0]}" if first.annotations else first.words
    line = _line(text, _LONGEST_SUMMARY - len(_rest(others)))
    while others and len(f"{line}; {others[0]}{_rest(others[1:])}") <= _LONGEST_SUMMARY:
        line = f"{line}; {others.pop(0)}"
    return f"{line}{_rest(others)}"


def _rest(others: list[str]) -> str:
    return f"; and {len(others)} more job{'s' if len(others) > 1 else ''}" if others else ""


def _told(path: str, token: str) -> Any:
    try:
        answer = api.get(path, token)
        if answer.status_code == 200:
            return answer.json()
        log.warning("GitHub answered %d about what failed in a run", answer.status_code)
    except ValueError:
        log.warning("GitHub's answer about what failed in a run cannot be read")
        return None
    except requests.RequestException as exc:
        log.warning("what failed in a run could not be asked: %s", type(exc).__name__)
        raise NotNow.of(exc) from exc
    if answer.status_code >= 500:
        raise NotNow
    return None


def _annotations(told: Any) -> Iterator[str]:
    """The annotations of failures as lines, such as "login.spec.ts:41: timeout"."""
    notes = [one for one in _objects(told) if one.get("annotation_level") == "failure"]
    plain = [one for one in notes if not str(one.get("message") or "").startswith(_NOISE)]
    for one in plain:
        place = _line(one.get("path"), _LONGEST_NAME).rpartition("/")[2]
        where = f"{place}:{one['start_line']}: " if place and isinstance(one.get("start_line"), int) else ""
        text = _line(one.get("title") or one.get("message"), _LONGEST_ANNOTATION)
        if text:
            yield f"{where}{text}"[:_LONGEST_ANNOTATION]


def _objects(told: Any) -> Iterable[dict[str, Any]]:
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _line(value: Any, longest: int) -> str:
    """The first line of a text that GitHub told, without control characters."""
    lines = value.strip().splitlines() if isinstance(value, str) else []
    text = "".join(char if char.isprintable() else " " for char in lines[0]) if lines else ""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
