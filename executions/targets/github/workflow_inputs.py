"""Compares a job's metadata with the inputs that its workflow file declares.

GitHub refuses unknown inputs, missing required inputs and values of the wrong type with 422 at each dispatch (GitHub,
"Workflow syntax: on.workflow_dispatch.inputs"). This check reports them when the job is saved. A file that the token
may not read is not reported as a fault of the job.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import requests
import yaml

from executions.targets.github import api as github_api
from executions.targets.github.dispatch import GitHubDispatch, inputs

_RAW = "application/vnd.github.raw+json"
_LARGEST = 64 * 1024
_DEEPEST = 40


class Unreadable(Exception):
    """The workflow file could not be read; the message says why."""


class Loader(yaml.BaseLoader):
    """Reads scalars as text, because GitHub reads YAML 1.2, where `on`, `yes` and 3.10 are text. Aliases, with which a
    small file describes an enormous document, and deep nesting are refused.
    """

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise Unreadable("The workflow file holds YAML aliases, which are not read.")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unreadable("The workflow file is nested too deeply.")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def check(dispatch: GitHubDispatch, credential_id: UUID | None) -> list[str]:
    """The differences that GitHub would refuse, one sentence each. Raises `Unreadable`."""
    return differences(declared(file_of(dispatch, credential_id)), inputs(dispatch.metadata))


def loaded(text: str) -> dict[str, Any]:
    """A workflow file. Raises `Unreadable`."""
    if len(text) > _LARGEST:
        raise Unreadable(f"The workflow file is larger than {_LARGEST // 1024} KiB.")
    try:
        document = yaml.load(text, Loader=Loader)  # noqa: S506
    except (yaml.YAMLError, RecursionError) as exc:
        raise Unreadable("The workflow file is not valid YAML.") from exc
    if not isinstance(document, dict):
        raise Unreadable("The workflow file is not valid YAML.")
    return document


def declared(text: str) -> dict[str, dict[str, Any]]:
    """The declared inputs of a workflow file, by name. Raises `Unreadable` if the workflow cannot be dispatched."""
    events = loaded(text).get("on")
    names = events if isinstance(events, dict | list) else [events]
    if "workflow_dispatch" not in names:
        raise Unreadable("The workflow cannot be dispatched: add 'workflow_dispatch' to its 'on'.")
    found = (_mapping(events["workflow_dispatch"]).get("inputs") or {}) if isinstance(events, dict) else {}
    return {str(name): spec if isinstance(spec, dict) else {} for name, spec in _mapping(found).items()}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def differences(specs: dict[str, dict[str, Any]], given: dict[str, str]) -> list[str]:
    """How the given inputs differ from the declared ones, one sentence each."""
    wrong = [f"The workflow has no input '{name}'." for name in given if name not in specs]
    for name, spec in specs.items():
        if name not in given:
            if must_be_given(spec):
                wrong.append(f"The input '{name}' is required: add it to the metadata.")
        elif problem := _mismatch(spec, given[name]):
            wrong.append(f"The input '{name}' {problem}.")
    return wrong


def must_be_given(spec: dict[str, Any]) -> bool:
    """Whether a dispatch without this declared input is refused."""
    return is_required(spec) and spec.get("default") in (None, "")


def is_required(spec: dict[str, Any]) -> bool:
    """Whether a declared input is required. The loader leaves values texts; YAML 1.2 writes true in three ways."""
    return str(spec.get("required")).lower() == "true"


def _mismatch(spec: dict[str, Any], value: str) -> str:
    kind = spec.get("type", "string")
    if kind == "boolean" and value not in {"true", "false"}:
        return "is true or false"
    if kind == "choice":
        options = [option for option in spec.get("options") or [] if isinstance(option, str)]
        return "" if value in options else f"is one of {', '.join(options)}"
    if kind == "number":
        try:
            float(value)
        except ValueError:
            return "is a number"
    return ""


def file_of(dispatch: GitHubDispatch, credential_id: UUID | None) -> str:
    """The text of a workflow file. Raises `Unreadable`."""
    owner, repo = dispatch.owner, dispatch.repo
    try:
        with github_api.asking(credential_id) as token:
            for name in dispatch.names():
                path = f"/repos/{quote(owner)}/{quote(repo)}/contents/.github/workflows/{quote(name)}"
                answer = github_api.get(f"{path}?ref={quote(dispatch.ref, safe='')}", token, accept=_RAW)
                if answer.status_code == 200:
                    return answer.text
    except github_api.NoToken as exc:
        raise Unreadable(str(exc)) from exc
    except (requests.RequestException, UnicodeError) as exc:
        raise Unreadable(f"{github_api.reason(exc)}.") from exc
    raise Unreadable(
        f"The workflow file cannot be read (GitHub answered {answer.status_code}):"
        " the token lacks the permission 'contents: read', or there is no such file on that branch."
    )
