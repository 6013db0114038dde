"""The end of the log of a failed job (GitHub REST: "Download job logs for a workflow run")."""

from __future__ import annotations

import re

from core.masking import masked_text
from executions.targets.github import api

_LARGEST = 20 * 1024 * 1024
_LINES, _LONGEST_LINE = 50, 400
# Each line begins with its time; an error of a step is marked (GitHub, "Workflow commands").
_TIME = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT[\d:.]+Z ")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ERROR = "##[error]"


def of_job(owner: str, repo: str, job_id: int, token: str) -> str:
    """The last 50 lines before the job's last error, without known secrets. Raises as `api.download`."""
    content = api.download(f"/repos/{owner}/{repo}/actions/jobs/{job_id}/logs", token, _LARGEST)
    return last_lines(content.decode(errors="replace"), token)


def last_lines(text: str, token: str) -> str:
    """The last 50 lines up to the last error of a log."""
    lines = text.splitlines()
    errors = [number for number, line in enumerate(lines) if _ERROR in line]
    shown = lines[: errors[-1] + 1] if errors else lines
    return masked_text(api.hide("\n".join(_plain(line) for line in shown[-_LINES:]), token))


def _plain(line: str) -> str:
    text = _COLOUR.sub("", _TIME.sub("", line)).replace(_ERROR, "Error: ")
    return "".join(char if char.isprintable() or char == "\t" else " " for char in text)[:_LONGEST_LINE]
