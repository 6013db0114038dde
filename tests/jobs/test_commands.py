"""`exportjobs` and `importjobs`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jobs.models import Job
from jobs.services import create_job
from jobs.transfer import exporting
from taxonomy.models import PicTeam

pytestmark = pytest.mark.django_db
COMMON = {"cron_expression": "@daily", "end_date": "2099-01-01", "pic_team": "qa-team"}


def stored() -> Any:
    out = io.StringIO()
    exporting.write_json(Job.objects.order_by("name"), out, reader=None)
    return json.loads(out.getvalue())


def said(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


@pytest.fixture
def jobs(team: PicTeam) -> None:
    odd = {"name": "=1+1", "target_url": "https://x.example.com/", "metadata": {"a": "x\ny"}, "is_active": False}
    create_job({**COMMON, **odd}, by=None)
    mail = {"enable_email_notifications": True, "notification_emails": ["a@example.com"]}
    create_job({**COMMON, **mail, "name": "'-quote", "target_url": "a/b/c", "category": "Refund"}, by=None)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_what_is_exported_is_imported_the_same(jobs: None, tmp_path: Path, kind: str) -> None:
    before = stored()
    file = str(tmp_path / f"jobs.{kind}")
    said("exportjobs", "--format", kind, "--output", file)
    Job.objects.all().delete()
    assert "2 jobs would be created" in said("importjobs", file, "--dry-run")
    assert stored() == []
    assert json.loads(said("importjobs", file, "--json"))["errors"] == []
    if kind == "csv":
        # The contract's columns know no addresses.
        for body in before:
            body.update(enable_email_notifications=False, notification_emails=[])
    assert stored() == before


def test_errors_of_rows_are_told_and_fail_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.csv").write_text(
        "Job Name,Cron Schedule (JST),Target URL,End Date,PIC Team\nA,0 3 * * *,https://x.example.com/,2099-12-31,No\n"
    )
    with pytest.raises(SystemExit) as exit_code:
        call_command("importjobs", str(tmp_path / "bad.csv"))
    assert exit_code.value.code == 1
    printed = capsys.readouterr()
    assert "row 2, column pic team: Invalid PIC team" in printed.out
    assert "1 of 1 rows checked" in printed.err
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("importjobs", str(tmp_path / "none.csv"))
