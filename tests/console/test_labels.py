"""Every label of the admin is in docs/labels.md, with its word in Japanese: one name for one thing."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from accounts.models import User
from executions.models import Execution
from jobs.models import Job
from taxonomy.models import Category, PicTeam
from tests.console.pages.test_hostile_rows import pages_of, run_of, shared_pages
from tests.support.installation import ROOT

pytestmark = pytest.mark.django_db
LABELS = ROOT / "docs" / "labels.md"
_TAGS = {"th", "dt", "label", "legend", "h2", "h3"}
# Their texts are values, icons or values to choose from.
_LEFT_OUT = {"select", "script", "textarea", "time", "svg"}
_VALUE = re.compile(r"\d|^(?:JST|Mon|Tue|Wed|Thu|Fri|Sat|Sun)|\(JST\)|^[^A-Za-z]*$|[._/]")

_OTHERS = ("import", "import/schedules", "account", "calendar", "inbox", "password_change")


class Labels(HTMLParser):
    """The texts of labels, headings and column titles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._open: list[tuple[str, bool]] = []
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"input", "br", "img", "meta", "link", "hr", "path", "rect", "wbr", "col"}:
            return
        classes = dict(attrs).get("class") or ""
        self._open.append((tag, tag in _LEFT_OUT or "material-symbols" in classes or "cs-pill" in classes))
        if tag in _TAGS:
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass
        if tag in _TAGS:
            text = " ".join("".join(self._text).split()).rstrip(":* ")
            if text and not _VALUE.search(text):
                self.found.add(text)
            self._text = []

    def handle_data(self, data: str) -> None:
        if any(tag in _TAGS for tag, _ in self._open) and not any(is_left_out for _, is_left_out in self._open):
            self._text.append(data)


def pages(job: Job, execution: Execution) -> list[str]:
    lists = shared_pages()
    return [
        *lists,
        *(f"{one}add/" for one in lists if one.count("/") == 4 and "?" not in one),
        *(f"/admin/{one}/" for one in _OTHERS),
        *pages_of(job),
        reverse("admin:executions_execution_change", args=[execution.pk]),
    ]


def known() -> dict[str, str]:
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", LABELS.read_text(), re.MULTILINE)
    return dict(rows[1:])


@pytest.fixture
def labels(make_job: Callable[..., Job], browser: Client) -> set[str]:
    execution = run_of(make_job(name="Nightly", cron_expression="*/5 * * * *"))
    reader = Labels()
    for page in pages(execution.job, execution):
        answer = browser.get(page, follow=True)
        # Lists of records have no form for a new one.
        assert answer.status_code == 200 or page.endswith("/add/"), page
        if answer.status_code == 200:
            reader.feed(answer.content.decode())
    rows = [*Category.objects.all(), *PicTeam.objects.all(), *Job.objects.all(), *User.objects.all()]
    return reader.found - {str(row) for row in rows}


def test_every_label_is_listed_and_every_listed_one_is_shown(labels: set[str]) -> None:
    assert len(labels) > 150
    assert sorted(labels - set(known())) == [], "not in docs/labels.md: use a label that is there, or add it"
    assert sorted(set(known()) - labels) == [], "in docs/labels.md, and on no page"


def test_the_list_says_what_the_pages_say_in_japanese() -> None:
    with translation.override("ja"):
        wrong = {
            english: japanese
            for english, japanese in known().items()
            if japanese not in {translation.gettext(english), translation.gettext(english[:1].lower() + english[1:])}
        }
    assert wrong == {}
