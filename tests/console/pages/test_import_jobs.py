"""Import with a preview: nothing is created before it is confirmed, and only what was previewed."""

from __future__ import annotations

import random

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from jobs.models import Job
from taxonomy.models import PicTeam

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("general")]
HEAD = "Job Name,Cron Schedule (JST),Target URL,End Date,PIC Team,Request Body\r\n"


def upload(browser: Client, text: str, encoding: str = "utf-8") -> object:
    file = SimpleUploadedFile("jobs.csv", text.encode(encoding), "text/csv")
    return browser.post(reverse("admin:import_jobs"), {"file": file, "default_github_owner": ""})


def rows(count: int, body: str = "") -> str:
    return HEAD + "".join(
        f"ジョブ {n},0 9 * * *,https://x.example.com/,2099-12-31,qa-team,{body}\r\n" for n in range(count)
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "shift_jis"])
def test_what_was_previewed_is_created(browser: Client, team: PicTeam, encoding: str) -> None:
    preview = upload(browser, rows(2) + "bad,x,y,z,w,\r\n", encoding)
    assert (preview.context["preview"]["good"], preview.context["preview"]["bad"]) == (2, 1)
    assert not Job.objects.exists()
    answer = browser.post(reverse("admin:import_jobs"), {"checked": preview.context["checked"]}, follow=True)
    assert "2 jobs were created." in answer.content.decode()
    assert set(Job.objects.values_list("name", flat=True)) == {"ジョブ 0", "ジョブ 1"}


def test_what_is_changed_on_the_way_is_refused(browser: Client, team: PicTeam) -> None:
    checked = upload(browser, rows(1)).context["checked"]
    answer = browser.post(reverse("admin:import_jobs"), {"checked": checked[:-3] + "xyz"}, follow=True)
    assert "too old" in answer.content.decode()
    assert not Job.objects.exists()


def test_a_large_file_goes_through(browser: Client, team: PicTeam) -> None:
    body = '"{""text"": ""' + "あいうえおかきくけこ" * 100 + '""}"'
    preview = upload(browser, rows(400, body))
    assert preview.context["preview"]["good"] == 400
    browser.post(reverse("admin:import_jobs"), {"checked": preview.context["checked"]})
    assert Job.objects.count() == 400


def test_a_file_that_is_too_large_is_refused_on_the_page(browser: Client, team: PicTeam) -> None:
    noise = random.Random(1).randbytes(5_000_000).hex()
    cells = [noise[at : at + 5000] for at in range(0, len(noise), 5000)]
    answer = upload(browser, HEAD + "".join(f"{cell},x,y,z,w,\r\n" for cell in cells))
    assert answer.status_code == 200
    assert answer.context["form"].errors["file"] == ["The file is too large: split it."]


def test_a_binary_file_is_refused_on_the_page(browser: Client) -> None:
    file = SimpleUploadedFile("jobs.xlsx", b"PK\x03\x04" + bytes(200), "application/zip")
    answer = browser.post(reverse("admin:import_jobs"), {"file": file})
    assert answer.status_code == 200
    assert answer.context["form"].errors["file"]


def test_the_template_can_be_downloaded(browser: Client) -> None:
    answer = browser.get(reverse("admin:import_jobs") + "?template")
    assert answer.content.decode().startswith("Job Name,")
