"""Settings of the tests: a data directory of their own, a database file that threads can share, no slow hashing.

`TESTS_DATABASE_URL` (see `tests.on_postgresql`) is the database of the tests in place of a file; `DATABASE_URL` is not
read, so that no test touches an installation.
"""

import os
import tempfile
from pathlib import Path

_DATA = Path(tempfile.gettempdir()) / f"cronsched-tests-{os.getuid()}" / os.environ.get("PYTEST_XDIST_WORKER", "main")
_DATA.mkdir(parents=True, exist_ok=True)
for _name in list(os.environ):
    if _name.startswith(("CRONSCHED_", "MAIL_", "GITHUB_")):
        del os.environ[_name]
os.environ["CRONSCHED_DATA_DIR"] = str(_DATA)
os.environ["SECRET_KEY"] = "only-for-tests-" + "k" * 40
os.environ.setdefault("LOG_LEVEL", "WARNING")
os.environ["DATABASE_URL"] = os.environ.get("TESTS_DATABASE_URL", "")

from cronsched.settings import *  # noqa: E402, F403

# Installations that tests start choose their own.
del os.environ["DATABASE_URL"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CRONSCHED_ALLOWED_TARGETS = ["127.0.0.0/8"]
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    DATABASES["default"]["TEST"] = {"NAME": str(_DATA / "test.sqlite3")}  # noqa: F405
# Otherwise each test's client reads the folder of static files.
WHITENOISE_AUTOREFRESH = True
