"""A SQLite file with all tables, made once for each state of the migrations and shared by the processes of a run."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FOLDER = Path(tempfile.gettempdir()) / f"cronsched-tests-{os.getuid()}"


def copy_migrated(to: Path) -> None:
    """Write the file to a path."""
    made_by = hashlib.sha256(b"".join(one.read_bytes() for one in _sources()))
    file = _FOLDER / f"migrated-{made_by.hexdigest()[:16]}.sqlite3"
    with (_FOLDER / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            for former in _FOLDER.glob("migrated-*.sqlite3"):
                former.unlink()
            with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
                env = {"PATH": os.environ["PATH"], "CRONSCHED_DATA_DIR": folder, "LOG_LEVEL": "WARNING"}
                subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], cwd=ROOT, env=env, check=True)
                (Path(folder) / "cronsched.sqlite3").rename(file)
        shutil.copyfile(file, to)


def _sources() -> list[Path]:
    return [ROOT / "requirements.txt", *sorted(ROOT.glob("*/migrations/*.py"))]
