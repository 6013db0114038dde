"""The rules for a job's fields."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from core.api.errors import Invalid
from jobs.services import update_job

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("misfire_policy", "sometimes"), ("overlap_policy", 5), ("misfire_grace_seconds", 0),
        ("timeout_seconds", 3601), ("max_attempts", "3"),
        ("max_attempts", True), ("retry_on", "5xx"), ("retry_on", ["404"]), ("jitter_seconds", -1),
        ("start_date", "soon"), ("start_date", "2100-01-01"),
    ],
)  # fmt: skip
def test_a_bad_policy_is_named(api: Any, job_body: dict[str, Any], field: str, value: Any) -> None:
    answer = api.post("/api/v2/jobs", {**job_body, field: value})
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]


def test_an_end_date_before_the_stored_start_date_is_refused(make_job: Any, admin: User) -> None:
    job = make_job(start_date="2090-06-01")
    with pytest.raises(Invalid, match="the job would never fire") as caught:
        update_job(job.pk, {"end_date": "2090-05-31"}, by=admin)
    assert list(caught.value.fields) == ["end_date"]
    job.refresh_from_db()
    assert str(job.end_date) == "2099-12-31"
