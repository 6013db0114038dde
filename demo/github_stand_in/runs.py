"""The workflow runs of the stand-in: their attempts, jobs, steps, logs and artifacts."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

CONCLUSIONS = {"success", "failure", "cancelled", "timed_out", "action_required", "startup_failure", "neutral"}
# A run in one of these for ever: no runner takes it, or nobody approves its deployment
# (GitHub REST, "List workflow runs for a repository", `status`; "Reviewing deployments").
ENDLESS = {"queued", "waiting"}
FAILED = {"failure", "timed_out"}
# GitHub's annotation of a run that a newer one has displaced (GitHub, "Control the concurrency of workflows and jobs").
DISPLACED = "Canceling since a higher priority waiting request for '{}' exists"


@dataclass
class Run:
    """One run: queued, then in progress, then completed after its duration. `conclusions`: of its attempts in turn;
    the last one holds for all further ones. A run of a concurrency group begins when `after`, the run before it, ends.
    """

    id: int
    repository: str
    workflow: str
    conclusion: str
    seconds: float
    base: str
    now: Callable[[], float] = time.time
    conclusions: Sequence[str] = ()
    branch: str = "main"
    group: str = ""
    event: str = "workflow_dispatch"
    after: Run | None = None
    began: float = 0.0
    created: float = 0.0
    attempt: int = 1
    is_displaced: bool = False
    artifacts: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.created = self.began = self.now()

    @property
    def ends_at(self) -> float:
        """Unix time; infinite for a run that never ends by itself."""
        if self.is_displaced:
            return self.began
        if self.conclusion in ENDLESS:
            return float("inf")
        return self.starts_at + self.seconds

    @property
    def starts_at(self) -> float:
        return max(self.began, self.after.ends_at) if self.after else self.began

    @property
    def is_over(self) -> bool:
        return self.now() >= self.ends_at

    @property
    def status(self) -> str:
        """GitHub's status of the run."""
        if self.is_over:
            return "completed"
        if self.conclusion in ENDLESS:
            return self.conclusion
        if self.now() < self.starts_at:
            return "pending"
        return "in_progress" if self.now() - self.starts_at > min(0.2, self.seconds / 2) else "queued"

    def displace(self) -> None:
        """A newer run of its concurrency group takes its place before it has started."""
        self.began, self.is_displaced, self.conclusion = self.now(), True, "cancelled"

    def run_again(self) -> None:
        """Begin the next attempt."""
        self.attempt += 1
        self.conclusion = (
            self.conclusions[min(self.attempt, len(self.conclusions)) - 1] if self.conclusions else (self.conclusion)
        )
        self.began, self.after, self.is_displaced = self.now(), None, False

    def body(self) -> dict[str, Any]:
        """GitHub REST, "Get a workflow run". While an attempt is queued, `run_attempt` still names the last one."""
        status = self.status
        over = status == "completed"
        number = self.attempt - 1 if status == "queued" and self.attempt > 1 else self.attempt
        return {
            "id": self.id,
            "path": f".github/workflows/{self.workflow}",
            "event": self.event,
            "head_branch": self.branch,
            "status": status,
            "conclusion": self.conclusion if over else None,
            "run_attempt": number,
            "created_at": _stamp(self.created),
            "html_url": f"https://github.com/{self.repository}/actions/runs/{self.id}",
            "url": f"{self.base}/repos/{self.repository}/actions/runs/{self.id}",
            "run_started_at": _stamp(self.began),
            "updated_at": _stamp(self.ends_at if over else self.began),
            "repository": {"full_name": self.repository},
        }

    def jobs(self, failing: Sequence[str]) -> list[dict[str, Any]]:
        """GitHub REST, "List jobs for a workflow run": one that succeeds, and those that fail in a run that fails. A
        run that was displaced has none that began.
        """
        if self.is_displaced or self.conclusion == "startup_failure":
            return []
        bad = failing if self.conclusion in FAILED else []
        told = [("build", "success"), *((name, self.conclusion) for name in bad)]
        return [self._job(number, name, conclusion) for number, (name, conclusion) in enumerate(told)]

    def _job(self, number: int, name: str, conclusion: str) -> dict[str, Any]:
        job_id = 100 * self.id + 10 * self.attempt + number
        return {
            "id": job_id,
            "run_id": self.id,
            "run_attempt": self.attempt,
            "name": name,
            "status": "completed",
            "conclusion": conclusion,
            "started_at": _stamp(self.starts_at),
            "html_url": f"https://github.com/{self.repository}/actions/runs/{self.id}/job/{job_id}",
            "steps": [
                {"name": "Set up job", "number": 1, "status": "completed", "conclusion": "success"},
                {"name": "Run Playwright", "number": 2, "status": "completed", "conclusion": conclusion},
            ],
        }


def _stamp(moment: float) -> str:
    return f"{dt.datetime.fromtimestamp(moment, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def annotation(path: str, line: int, message: str) -> dict[str, Any]:
    """GitHub REST, "List check run annotations"."""
    return {"path": path, "start_line": line, "annotation_level": "failure", "title": "", "message": message}
