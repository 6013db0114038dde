"""The search of the job list: for few jobs and for many it finds the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from accounts.models import User
from console.admin import job_search
from jobs.models import Job
from jobs.services import remove_jobs, update_job
from taxonomy.models import PicTeam

pytestmark = pytest.mark.django_db
JOBS = "admin:jobs_job_changelist"


def found(browser: Client, text: str, **more: str) -> tuple[set[str], int]:
    """The names of the rows, and the count of the tab."""
    changes = browser.get(reverse(JOBS), {"q": text, **more}).context["cl"]
    return {job.name for job in changes.result_list}, changes.tabs[0]["count"]


@pytest.fixture(params=[0, 2_000], ids=["many", "few"])
def most(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(job_search, "_MOST", request.param)
    return int(request.param)


@pytest.mark.usefixtures("most")
class TestSearch:
    def test_name_address_and_team_are_looked_at(self, browser: Client, make_job: Callable[..., Job]) -> None:
        make_job(name="Nightly", target_url="https://a.example.com/x")
        make_job(name="other", target_url="https://nightly.example.com/x")
        team = PicTeam.objects.create(name="Nightly people", slug="nightly")
        make_job(name="of the team", target_url="https://b.example.com/", pic_team=team.slug)
        make_job(name="not this one", target_url="https://c.example.com/")
        assert found(browser, " nightly ") == ({"Nightly", "other", "of the team"}, 3)
        assert found(browser, "nothing like it") == (set(), 0)

    def test_what_was_changed_counts_at_once(
        self, browser: Client, make_job: Callable[..., Job], admin: User, team: PicTeam
    ) -> None:
        job = make_job(name="Nightly", pic_team=team.slug, target_url="https://x.example.com/")
        assert found(browser, "Nightly") == ({"Nightly"}, 1)
        renamed = update_job(job.pk, {"name": "Daily"}, by=admin)
        assert found(browser, "Nightly") == (set(), 0)
        assert found(browser, "Daily") == ({"Daily"}, 1)
        remove_jobs([renamed], by=admin)
        assert found(browser, "Daily") == (set(), 0)
        make_job(name="Weekly", pic_team=team.slug, target_url="https://x.example.com/")
        assert found(browser, "Marketing") == (set(), 0)
        PicTeam.objects.filter(pk=team.pk).update(name="Marketing")
        assert found(browser, "Marketing") == ({"Weekly"}, 1)

    def test_other_filters_hold_too(self, browser: Client, make_job: Callable[..., Job]) -> None:
        make_job(name="Nightly on")
        make_job(name="Nightly off", is_active=False)
        assert found(browser, "nightly", attention="disabled")[0] == {"Nightly off"}

    def test_nobody_finds_out_an_address_by_its_letters(
        self, make_job: Callable[..., Job], make_user: Callable[..., User], browser_of: Callable[[User], Client]
    ) -> None:
        owner = make_user("own", admin_access=True)
        make_job(name="one", target_url="https://x.example.com/?key=abcdef", by=owner)
        assert found(browser_of(owner), "key=abc") == ({"one"}, 1)
        reader = browser_of(make_user("reader", admin_access=True))
        assert found(reader, "key=abc") == (set(), 0)
        assert found(reader, "one") == ({"one"}, 1)


def test_rows_and_headers_speak_the_readers_language(browser: Client, make_job: Callable[..., Job]) -> None:
    make_job(name="one")
    for language, box, header in (("en", "Select record", "Name"), ("ja", "行を選択", "名前")):
        with translation.override(language):
            page = browser.get(reverse(JOBS), headers={"accept-language": language}).content.decode()
        assert f'aria-label="{box}"' in page
        assert f'data-label="{header}"' in page
