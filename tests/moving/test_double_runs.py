"""A job whose workflow still has a schedule of its own says so daily."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from demo.github_stand_in import GitHub
from jobs.models import Job
from moving import double_runs
from notifications.models import Event
from scheduler.chores import look_for_double_runs
from tests.moving.test_workflow_file import FILE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def github(settings: Any) -> Iterator[GitHub]:
    with GitHub() as server:
        settings.GITHUB_API_URL, settings.GITHUB_TOKEN = server.url, "x"
        server.all_files = {("acme/shop", "e2e.yml"): FILE, ("acme/shop", "ci.yml"): "on: workflow_dispatch\n"}
        yield server


def test_only_what_runs_twice_is_told(github: GitHub, make_job: Callable[..., Job]) -> None:
    twice = make_job(name="Twice", target_url="acme/shop/e2e.yml")
    make_job(name="Twice too", target_url="acme/shop/e2e")
    make_job(name="Once", target_url="acme/shop/ci.yml")
    make_job(name="Gone", target_url="acme/shop/gone.yml")
    make_job(name="Off", target_url="acme/shop/e2e.yml", is_active=False)
    make_job(name="Webhook")
    Event.objects.all().delete()
    look_for_double_runs()
    told = Event.objects.filter(title="Workflow runs twice")
    assert set(told.values_list("message", flat=True)) == {
        f'Job "{name}" runs twice: acme/shop/.github/workflows/e2e.yml still has its own schedule '
        "(0 18 * * *, 0 6 * * 1). Remove it there."
        for name in ("Twice", "Twice too")
    }
    assert twice.created_by_id in set(told.values_list("owner", flat=True))
    # Each file is read once, however many jobs dispatch it.
    assert len([path for _, path, _ in github.calls if path.endswith("e2e.yml")]) == 1


def test_a_workflow_without_extension_may_be_a_yaml_file(github: GitHub, make_job: Callable[..., Job]) -> None:
    github.all_files = {("acme/shop", "night.yaml"): FILE}
    make_job(target_url="acme/shop/night")
    make_job(name="Gone", target_url="acme/shop/night.yml")
    assert [one.path for one in double_runs.find()] == ["acme/shop/.github/workflows/night.yaml"]


def test_a_workflow_named_by_its_number_is_read(github: GitHub, make_job: Callable[..., Job]) -> None:
    answer = github.answer

    def numbered(method: str, path: str, *more: Any) -> Any:
        if path.endswith("/actions/workflows/4711"):
            return 200, {"path": ".github/workflows/e2e.yml", "state": "active"}, {}
        return answer(method, path, *more)

    github.answer = numbered  # type: ignore[method-assign]
    make_job(target_url="acme/shop/4711")
    assert [one.path for one in double_runs.find()] == ["acme/shop/.github/workflows/e2e.yml"]


def test_a_rate_limit_stops_the_look_and_is_kept(github: GitHub, make_job: Callable[..., Job]) -> None:
    make_job(target_url="acme/shop/e2e.yml")
    github.fail_next = [(403, {"Retry-After": "30"})]
    assert double_runs.find() == []
    calls = len(github.calls)
    assert double_runs.find() == []
    assert len(github.calls) == calls


def test_a_token_that_is_gone_stops_nothing(github: GitHub, make_job: Callable[..., Job], settings: Any) -> None:
    make_job(target_url="acme/shop/e2e.yml")
    settings.GITHUB_TOKEN = ""
    assert double_runs.find() == []
