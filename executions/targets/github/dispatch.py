"""GitHub Actions: a workflow dispatch (GitHub REST: "Create a workflow dispatch event")."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

import orjson
from django.conf import settings

from core.masking import MASK
from executions.budgets import Pause
from executions.http.client import Request
from executions.http.connection import DeliveryError, Reply
from executions.targets.base import Call, Outcome, Run, Send
from executions.targets.github import api as github_api
from executions.targets.github import limits
from executions.targets.github.limits import RateLimited
from executions.targets.github.repairs import Refused, Repair, repaired
from executions.targets.lookup import looked_up
from settings_app.credential_rights import rights_of

DEFAULT_REF = "master"
# A workflow may be disabled, and have no branch of that name.
_MOST_REPAIRS = 2
_CUT_FIELD = re.compile(r'"(workflow_run_id|html_url)"\s*:\s*"?([^",}\s]+)')


@dataclass(frozen=True)
class GitHubDispatch:
    """One dispatch. The token is never part of a repr, a log line or an outcome.

    With `follow`, GitHub is asked to return the started run (`return_run_details`, since 2026-02-19: 200 instead of
    204). A server that does not know the parameter refuses it with 400 or 422; the dispatch is then sent once without
    it.
    """

    repeatable: ClassVar[bool] = False
    asks_first: ClassVar[bool] = True
    kind: ClassVar[str] = "github_actions"

    owner: str
    repo: str
    workflow: str
    metadata: dict[str, Any]
    job_name: str
    token: str = field(default="", repr=False)
    credential_id: UUID | None = None
    branch: str = ""
    follow: bool = False
    team_id: UUID | None = None

    async def deliver(self, send: Send, call: Call) -> Outcome:
        try:
            token = self.token or await self._with_credential(self._allowed_token)
        except github_api.NoToken as exc:
            return Outcome(False, error=str(exc), repeatable=False)
        if not token:
            return Outcome(
                False, error=f"GitHub token not configured. Cannot trigger workflow for job '{self.job_name}'"
            )
        dispatch = self
        notes: list[str] = []
        reply, workflow = await dispatch._dispatch(send, token)
        try:
            while len(notes) < _MOST_REPAIRS and (repair := await dispatch._repair(reply, workflow, token)):
                dispatch, notes = replace(dispatch, branch=repair.branch or dispatch.branch), [*notes, repair.note]
                reply, workflow = await dispatch._dispatch(send, token)
        except RateLimited as exc:
            # Nothing started: the whole dispatch waits for the budget, and is made again.
            return dispatch._outcome(reply, workflow, notes, exc.pause)
        if reply.status == 401 and self.credential_id and not self.token:
            with contextlib.suppress(DeliveryError):
                await self._with_credential(github_api.note_refusal)
        return dispatch._outcome(reply, workflow, notes)

    async def _dispatch(self, send: Send, token: str) -> tuple[Reply, str]:
        """The reply to the dispatch, and the name of the workflow file that was dispatched."""
        for workflow in self.names():
            reply = await self._send(send, self.request(workflow, token, follow=self.follow))
            if self.follow and reply.status in {400, 422} and "return_run_details" in reply.text:
                reply = await self._send(send, self.request(workflow, token, follow=False))
            if reply.status != 404:
                break
        return reply, workflow

    async def _repair(self, reply: Reply, workflow: str, token: str) -> Repair | None:
        has_own_ref = bool(self.branch or self.metadata.get("branchDetails"))
        refused = Refused(f"{self.owner}/{self.repo}", workflow, self.ref, not has_own_ref)
        return await repaired(refused, reply, token)

    def example(self, call: Call) -> Request:
        return self.request(self.names()[0], MASK, follow=self.follow)

    def prepared(self, call: Call) -> GitHubDispatch:
        # The token is read when the call is made.
        return self

    @property
    def origin(self) -> None:
        return None

    @property
    def size(self) -> int:
        return len(str(self.metadata))

    @staticmethod
    async def _send(send: Send, request: Request) -> Reply:
        """Send a dispatch; of a renamed or moved repository once more to its new address, if that is GitHub's API too
        (GitHub REST: "Follow redirects").
        """
        reply = await send(request)
        moved = github_api.moved_to(reply.status, reply.location)
        return await send(request.changed(url=moved)) if moved else reply

    def _allowed_token(self, credential_id: UUID | None) -> str:
        """The stored token, if it may be used here. Raises `NoToken`."""
        token = github_api.token_of(credential_id)
        rights = rights_of(credential_id) if token else None
        refusal = rights.refusal(f"{self.owner}/{self.repo}/{self.workflow}", self.team_id) if rights else ""
        if refusal:
            raise github_api.NoToken(refusal)
        return token

    async def _with_credential(self, work: Callable[[Any], Any]) -> Any:
        return await looked_up(partial(work, self.credential_id), "the GitHub token")

    def request(self, workflow: str, token: str, *, follow: bool) -> Request:
        """The dispatch of one workflow file."""
        body: dict[str, Any] = {"ref": self.ref, "inputs": inputs(self.metadata)}
        if follow:
            body["return_run_details"] = True
        return Request(
            "POST",
            f"{settings.GITHUB_API_URL}/repos/{self.owner}/{self.repo}/actions/workflows/{workflow}/dispatches",
            {**github_api.headers(token), "Content-Type": "application/json"},
            orjson.dumps(body),
            trusted=True,
            secrets=((token, MASK),),
        )

    @property
    def ref(self) -> str:
        """The branch or tag: the job's own, else `metadata.branchDetails`, else `master`; where a repository has no
        `master`, its default branch is dispatched (`repairs`).
        """
        return self.branch or str(self.metadata.get("branchDetails") or DEFAULT_REF)

    def names(self) -> list[str]:
        """The possible file names of the workflow, the most likely first."""
        name = self.workflow
        return [name] if "." in name or name.isdigit() else [name, f"{name}.yml", f"{name}.yaml"]

    def _outcome(self, reply: Reply, workflow: str, notes: Sequence[str], pause: Pause | None = None) -> Outcome:
        called = f"{self.owner}/{self.repo}/{workflow}"
        if reply.status in {200, 204}:
            said = " ".join([*notes, f"Workflow triggered successfully on branch {self.ref}"])
            return Outcome(True, reply.status, said, target=called, run=_run(reply) if self.follow else None)
        pause = pause or limits.pause_of(reply.status, reply.retry_after, reply.rate_limit_reset, reply.text)
        error = f"GitHub Actions dispatch failed. Status: {reply.status}, Response: {reply.output}"
        # None of the names was found: the error names the job's own.
        return Outcome(
            False,
            reply.status,
            reply.output,
            error,
            f"{self.owner}/{self.repo}/{self.workflow}" if reply.status == 404 else called,
            # A refusal (4xx) means that nothing started; after a server error a run may have started.
            repeatable=reply.status < 500,
            retry_after=str(math.ceil(pause.seconds)) if pause and pause.seconds else "",
            pause=pause,
        )


def _run(reply: Reply) -> Run | None:
    """The run that a dispatch started; None if the server does not return it."""
    try:
        told = _fields(reply.text)
        told_id = told["workflow_run_id"]
        if isinstance(told_id, bool | float):
            return None
        run_id, url = int(told_id), github_api.page_of_run(told.get("html_url"))
        # A run whose values do not fit the columns cannot be followed.
        return Run(run_id, url) if 0 < run_id < 2**63 else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _fields(text: str) -> dict[str, Any]:
    """The fields of an answer; of one that is cut, those that are read by name."""
    try:
        found: dict[str, Any] = orjson.loads(text)
        return found
    except ValueError:
        return dict(_CUT_FIELD.findall(text))


def inputs(metadata: dict[str, Any]) -> dict[str, str]:
    """Metadata as workflow inputs: strings unchanged, other values as JSON, because GitHub accepts strings only."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in metadata.items()
    }
