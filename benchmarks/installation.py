"""An installation of its own for a benchmark, in a temporary folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def environment(folder: str, database_url: str | None = None) -> dict[str, str]:
    """The settings of an installation whose data is in `folder`."""
    return {
        **os.environ,
        "CRONSCHED_DATA_DIR": folder,
        "CRONSCHED_ALLOWED_TARGETS": "127.0.0.0/8",
        "DATABASE_URL": database_url or f"sqlite:///{folder}/bench.sqlite3",
        "LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "cronsched.settings",
    }


def manage(env: dict[str, str], *arguments: str) -> None:
    """Run a management command."""
    subprocess.run([sys.executable, str(ROOT / "manage.py"), *arguments], env=env, cwd=ROOT, check=True)


def python(env: dict[str, str], code: str, *arguments: str) -> str:
    """Run code with Django set up; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()\n" + code, *arguments],
        env=env,
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout
