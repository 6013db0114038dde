"""What lies in the database and in files: nothing there is run, and nobody else reads it."""

from __future__ import annotations

import os
import pickle
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django_apscheduler.models import DjangoJob

from scheduler import chores
from tests.support.installation import ROOT, Installation


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.django_db(transaction=True)
class TestPickles:
    def test_no_row_is_unpickled(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: Client) -> None:
        exploded = tmp_path / "exploded"
        state = pickle.dumps(Bomb(exploded))
        for name in ("evil", "tidy"):
            DjangoJob.objects.create(id=name, job_state=state, next_run_time="2020-01-01T00:00:00Z")
        monkeypatch.setattr(chores, "JOBS", {"tidy": (print, "30 3 * * *")})
        chores.start().shutdown()
        body = {"action": "run_selected_jobs", "_selected_action": ["tidy", "evil"]}
        browser.post("/admin/django_apscheduler/djangojob/", body)
        assert browser.get("/admin/django_apscheduler/djangojob/").status_code == 200
        assert not exploded.exists()
        (kept,) = DjangoJob.objects.all()
        assert (kept.pk, bytes(kept.job_state)) == ("tidy", b"")

    def test_no_code_of_ours_unpickles(self) -> None:
        loads = re.compile(r"^\s*(import|from) (pickle|shelve|marshal|dill|cloudpickle)\b", re.MULTILINE)
        for file in ROOT.rglob("*.py"):
            if not {"tests", ".venv"} & set(file.relative_to(ROOT).parts):
                assert not loads.search(file.read_text()), file


def test_files_are_their_owners_whatever_existed_before(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    os.chmod(folder, 0o755)
    (folder / "export.csv").touch(0o644)
    mask = os.umask(0o022)
    try:
        with Installation(folder, schedulers=0) as running:
            os.chmod(folder, 0o755)
            running.manage("exportjobs", "--output", str(folder / "export.csv"))
            assert "chmod 0700" in running.manage("doctor", "--offline", check=False).stdout
            os.chmod(folder / "cronsched.sqlite3", 0o644)
            running.manage("doctor", "--offline", check=False)
            names = ("cronsched.sqlite3", "cronsched.sqlite3-wal", "cronsched.sqlite3-shm", "secret_key", "export.csv")
            modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in names if (folder / name).exists()}
    finally:
        os.umask(mask)
    assert {"cronsched.sqlite3", "secret_key", "export.csv"} <= set(modes)
    assert set(modes.values()) == {0o600}, modes
