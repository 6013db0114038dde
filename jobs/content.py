"""What a run of a job sends: the job's own values, or those values with the variables put in.

They are put in once, when the execution is written, and are stored with it, so that retries, other workers and *Run
again* send the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from jobs.models import Job
from jobs.targets.kinds import Target
from jobs.templating import language
from jobs.templating.language import Expression, Values
from jobs.templating.times import Setting

# Of a body, in bytes; GitHub takes at most 65,535 characters of inputs.
LARGEST = 64 * 1024
# The column of an execution's target, in characters.
_LONGEST_TARGET = 2048


class Content(NamedTuple):
    """The parts of a request that may hold variables, and how they are sent. `is_rendered`: the variables were put in,
    but for those of the call (`language.finish`).
    """

    metadata: dict[str, Any]
    headers: dict[str, str] | None = None
    query: dict[str, str] | None = None
    body_text: str = ""
    ref: str = ""
    method: str = "auto"
    body: str = "json"
    is_rendered: bool = False

    @classmethod
    def of(cls, job: Job, metadata: dict[str, Any] | None = None) -> Content:
        """The values of a job, with other metadata if given."""
        own = job.metadata if metadata is None else metadata
        return cls(own, job.headers, job.query, job.body_text, job.github_ref, job.method, job.body)

    @classmethod
    def of_stored(cls, job: Job, overrides: Mapping[str, Any]) -> Content:
        """The content of an execution that is stored with these overrides."""
        rendered = overrides.get("rendered")
        if rendered is None:
            return cls.of(job, overrides.get("metadata"))
        return cls(**{name: rendered[name] for name in cls._fields if name in rendered}, is_rendered=True)

    def parts(self) -> dict[str, Any]:
        """The parts that may hold variables, by the name of the job's field."""
        return {
            "headers": self.headers,
            "query": self.query,
            "metadata": self.metadata,
            "body_text": self.body_text,
            "github_ref": self.ref,
        }

    def stored(self) -> dict[str, Any]:
        """The content as it is stored with an execution: what differs from the defaults above, which must stay."""
        return {
            name: value
            for name, value in zip(self._fields, self, strict=True)
            if name != "is_rendered" and (name, value) not in self._field_defaults.items()
        }

    def readable(self) -> Content:
        """The content as it is shown: secrets are written as their placeholders."""
        return self.mapped(language.readable) if self.is_rendered else self

    def mapped(self, change: Callable[[Any], Any]) -> Content:
        """The content with each part changed; it counts as rendered."""
        return Content(
            change(self.metadata),
            _as_texts(change(self.headers)),
            _as_texts(change(self.query)),
            str(change(self.body_text) or ""),
            str(change(self.ref) or ""),
            self.method,
            self.body,
            is_rendered=True,
        )

    def too_large(self) -> str:
        """The name of a part that is too large; '' if none is."""
        if len(orjson.dumps(self.metadata)) > LARGEST:
            return "metadata"
        return "body_text" if len(self.body_text.encode()) > LARGEST else ""


class Rendered(NamedTuple):
    """A target and a content with the variables put in."""

    target: Target
    content: Content


def values_of(
    job: Job,
    *,
    execution_id: str,
    trigger: str,
    scheduled_for: dt.datetime,
    nominal_for: dt.datetime | None = None,
    succeeded_for: dt.datetime | None = None,
) -> Values:
    """The values of the variables for one execution. `scheduled_for`: of a manual run the time that it makes up for, or
    when somebody asked for it. `succeeded_for`: the fire time of the job's last success.
    """
    texts = {
        "scheduled_for": scheduled_for,
        "nominal_for": nominal_for or scheduled_for,
        "previous_success_for": succeeded_for,
        "execution_id": execution_id,
        "job.name": job.name,
        "trigger": trigger,
    }
    return Values(texts, Setting(job.zone, job.business_days))


def render(job: Job, target: Target, content: Content, values: Values) -> Rendered:
    """Target and content with the variables put in, if the job asks for it. Raises `ValueError`."""
    if not job.templated or content.is_rendered:
        return Rendered(target, content)
    found = Rendered(target.rendered(values), content.mapped(lambda value: language.render_all(value, values)))
    if len(str(found.target)) > _LONGEST_TARGET:
        raise ValueError(f"the target is longer than {_LONGEST_TARGET} characters with its variables put in")
    return found


def asks_for_success(job: Job) -> bool:
    """Whether a request holds `previous_success_for`, which takes a look at the job's executions."""
    return job.templated and any(one.name == "previous_success_for" for one in _expressions(job))


def _expressions(job: Job) -> list[Expression]:
    try:
        return language.expressions({**Content.of(job).parts(), **job.target.rendered_texts()})
    except ValueError:
        # The job is put aside with this reason when it is rendered.
        return []


def _as_texts(value: dict[str, Any] | None) -> dict[str, str] | None:
    """Headers or parameters of which a value may have become a number or nothing."""
    return {name: "" if one is None else str(one) for name, one in value.items()} if value else None
