"""What lies in the database and in files: nothing there is run, and nobody else reads it."""

from __future__ import annotations

import os
import pickle
import re
import stat
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django_apscheduler.models import DjangoJob
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import AppDevice, User
from accounts.second_factor import devices
from scheduler import chores
from settings_app.services import reencrypt
from tests.support.installation import ROOT, Installation
from tests.support.second_factor import code_of


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
        with Installation(folder, web=False, schedulers=0) as running:
            os.chmod(folder, 0o755)
            running.manage("exportjobs", "--output", str(folder / "export.csv"))
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            os.chmod(folder, 0o755)
            assert "chmod 0700" in running.manage("doctor", check=False).stdout
            os.chmod(folder / "cronsched.sqlite3", 0o644)
            running.manage("doctor", check=False)
            names = ("cronsched.sqlite3", "cronsched.sqlite3-wal", "cronsched.sqlite3-shm", "secret_key", "export.csv")
            modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in names if (folder / name).exists()}
    finally:
        os.umask(mask)
    assert {"cronsched.sqlite3", "secret_key", "export.csv"} <= set(modes)
    assert set(modes.values()) == {0o600}, modes


@pytest.mark.django_db
class TestSecondFactors:
    def rows(self) -> str:
        return str([list(kind.objects.values_list()) for kind in (TOTPDevice, StaticToken)]) + self.raw()

    def raw(self) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT secret FROM accounts_appdevice")
            return str(cursor.fetchall())

    def test_neither_secret_nor_codes_are_readable(self, admin: User) -> None:
        device = devices.draft(admin)
        codes = devices.confirm(device, code_of(admin))
        rows = self.rows()
        assert device.secret not in rows
        assert not [code for code in codes if code in rows]
        assert devices.shown_by(admin, codes[0], "192.0.2.1") is not None
        assert devices.shown_by(admin, codes[0], "192.0.2.1") is None

    def test_backup_codes_outlive_a_new_secret_key(self, admin: User, settings: Any) -> None:
        codes = devices.confirm(devices.draft(admin), code_of(admin))
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 50, [settings.SECRET_KEY]
        assert devices.shown_by(admin, codes[0], "192.0.2.1") is not None

    def test_those_of_before_go_on(self, admin: User) -> None:
        """The migration, over a device and a code as the version before stored them."""
        old = TOTPDevice.objects.create(user=admin, name="app", confirmed=True)
        key = old.key
        StaticToken.objects.create(device=StaticDevice.objects.create(user=admin, name="backup"), token="abcdefgh")
        migration = import_module("accounts.migrations.0005_app_device")
        migration.encrypt_what_is_there(apps, None)
        device = AppDevice.objects.get(user=admin)
        assert (device.pk, device.secret, device.confirmed) == (old.pk, key, True)
        old.refresh_from_db()
        assert old.key not in {key, ""}
        assert key not in self.rows()
        assert devices.shown_by(admin, code_of(admin), "192.0.2.1") is not None
        assert devices.shown_by(admin, "abcdefgh", "192.0.2.1") is not None

    def test_they_are_encrypted_again_with_a_new_key(self, admin: User, settings: Any) -> None:
        device = devices.draft(admin)
        before = self.raw()
        settings.CRONSCHED_ENCRYPTION_KEYS = ["new" * 20, settings.SECRET_KEY]
        reencrypt()
        assert self.raw() != before
        settings.CRONSCHED_ENCRYPTION_KEYS = ["new" * 20]
        assert AppDevice.objects.get().secret == device.secret


@pytest.mark.parametrize("keys", ["a", "short," + "x" * 40])
def test_a_short_key_stops_the_start(keys: str, tmp_path: Path) -> None:
    env = {**os.environ, "CRONSCHED_DATA_DIR": str(tmp_path), "CRONSCHED_ENCRYPTION_KEYS": keys}
    env["DJANGO_SETTINGS_MODULE"] = "cronsched.settings"
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "CRONSCHED_ENCRYPTION_KEYS is too short" in done.stderr
