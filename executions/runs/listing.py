"""Asks GitHub for the state of the runs of one repository, with as few requests as it takes."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

import requests
from django.utils import timezone

from executions.models import Execution
from executions.runs import states
from executions.runs.states import RunState
from executions.targets.github import api as github_api
from executions.targets.github import limits
from executions.targets.github.failures import NotNow

# GitHub's largest page, and as many pages as it lists for a search by `created`.
_PAGE, _MOST_PAGES = 100, 10
# Runs that no page names take a request each.
MOST_SINGLE = 20
# A single 404 may be a read that lags behind the write.
MISSING = 3
MISSING_AFTER = dt.timedelta(minutes=2)
# The border of a listing moves in steps, so that its address and with it the ETag stay the same for a while.
_STEP_SECONDS = 1800


class Page(NamedTuple):
    """A page of a listing as it was last answered."""

    etag: str
    runs: dict[int, RunState]


@dataclass
class RepositoryPoll:
    """The polling state of a repository: the wait, when it is due, and before when it is not asked whatever happens
    (monotonic seconds), whether the last look failed, the pages of the last listing, and the number of consecutive
    refusals and of answers that a run is unknown.
    """

    wait: float
    next_at: float = 0.0
    not_before: float = 0.0
    has_failed: bool = False
    since: str = ""
    pages: dict[int, Page] = field(default_factory=dict)
    refusals: int = 0
    missing: Counter[int | None] = field(default_factory=Counter)


class Asked(NamedTuple):
    """The state of runs by id, and the answer that decides how to go on: the worst one."""

    runs: dict[int, RunState]
    answer: requests.Response


def ask(owner: str, repo: str, token: str, executions: Sequence[Execution], polled: RepositoryPoll) -> Asked:
    """The state of the runs of these executions. Raises `requests.RequestException`, and `ValueError` for an answer
    that cannot be read.
    """
    wanted = {one.run_id for one in executions if one.run_id}
    found: dict[int, RunState] = {}
    path = f"/repos/{owner}/{repo}/actions/runs"
    _move_border(polled, min(one.started_at for one in executions))
    for number in range(1, _MOST_PAGES + 1):
        page, answer = _page(path, number, token, polled)
        if page is None:
            if number == 1 and answer.status_code in {403, 404} and limits.pause_of_answer(answer) is None:
                # Deleted, or no longer readable with this token.
                return Asked(
                    {one.run_id or 0: states.GONE_STATE for one in executions if _is_gone(one, polled)}, answer
                )
            return Asked(found, answer)
        found |= page.runs
        for run_id in wanted & page.runs.keys():
            polled.missing.pop(run_id, None)
        if wanted <= found.keys() or len(page.runs) < _PAGE:
            break
    missing = [one for one in executions if one.run_id not in found]
    return _ask_each(path, token, missing[:MOST_SINGLE], polled, Asked(found, answer))


def ask_single(owner: str, repo: str, run_id: int, token: str) -> tuple[RunState | None, requests.Response]:
    """The state of one run; None if the answer is none. Raises as `ask`."""
    answer = github_api.get(f"/repos/{owner}/{repo}/actions/runs/{run_id}", token, heed=False)
    return (states.read(answer.json())[1] if answer.status_code == 200 else None), answer


def created_between(owner: str, repo: str, since: dt.datetime, until: dt.datetime, token: str) -> dict[int, RunState]:
    """The newest runs that were created in this time, whatever event started them. Raises `NotNow`."""
    created = quote(f"{_stamp(since)}..{_stamp(until)}")
    try:
        answer = github_api.get(f"/repos/{owner}/{repo}/actions/runs?created={created}&per_page={_PAGE}", token)
    except requests.RequestException as exc:
        raise NotNow.of(exc) from exc
    if answer.status_code >= 500:
        raise NotNow
    return dict(_readable(_rows(answer))) if answer.status_code == 200 else {}


def _move_border(polled: RepositoryPoll, oldest: dt.datetime) -> None:
    """List the runs that were created since the oldest execution that is looked for."""
    seconds = int(oldest.timestamp() - 60) // _STEP_SECONDS * _STEP_SECONDS
    since = _stamp(dt.datetime.fromtimestamp(seconds, dt.UTC))
    if since != polled.since:
        polled.since, polled.pages = since, {}


def _stamp(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _page(path: str, number: int, token: str, polled: RepositoryPoll) -> tuple[Page | None, requests.Response]:
    query = f"event=workflow_dispatch&created={quote(f'>={polled.since}')}&per_page={_PAGE}"
    query += f"&page={number}" if number > 1 else ""
    kept = polled.pages.get(number)
    answer = github_api.get(f"{path}?{query}", token, etag=kept.etag if kept else "", heed=False)
    if answer.status_code == 304:
        return kept, answer
    if answer.status_code != 200:
        return None, answer
    polled.pages[number] = Page(answer.headers.get("ETag", ""), dict(_readable(_rows(answer))))
    return polled.pages[number], answer


def _rows(answer: requests.Response) -> list[Any]:
    try:
        return list(answer.json()["workflow_runs"])
    except (KeyError, TypeError) as exc:
        raise ValueError("GitHub's list of runs cannot be read") from exc


def _readable(rows: Iterable[Any]) -> Iterator[tuple[int, RunState]]:
    """The runs of a list; one that cannot be read takes no other with it."""
    for row in rows:
        with suppress(ValueError):
            yield states.read(row)


def _ask_each(path: str, token: str, executions: Sequence[Execution], polled: RepositoryPoll, asked: Asked) -> Asked:
    found, answer = dict(asked.runs), asked.answer
    for execution in executions:
        single = github_api.get(f"{path}/{execution.run_id}", token, heed=False)
        if single.status_code == 200:
            polled.missing.pop(execution.run_id, None)
            # An answer that cannot be read takes no other with it; the run's limit ends it.
            found.update(_readable([_json(single)]))
        elif single.status_code == 404:
            if _is_gone(execution, polled):
                found[execution.run_id or 0] = states.GONE_STATE
        else:
            answer = single
            break
    return Asked(found, answer)


def _json(answer: requests.Response) -> Any:
    with suppress(ValueError):
        return answer.json()
    return None


def _is_gone(execution: Execution, polled: RepositoryPoll) -> bool:
    polled.missing[execution.run_id] += 1
    return polled.missing[execution.run_id] >= MISSING and timezone.now() - execution.started_at > MISSING_AFTER
