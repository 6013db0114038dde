#!/usr/bin/env python
"""Cronsched's command line."""

import os
import sys

# Commands that write source files.
_SOURCES = ("makemigrations", "makemessages", "compilemessages", "writedocs")


def main() -> None:
    """Run a management command; a bad setting ends it with one line."""
    if sys.argv[1:2] not in ([name] for name in _SOURCES):
        # Databases, backups and exports are their owner's.
        os.umask(0o077)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cronsched.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    from cronsched.environment import SettingError

    try:
        execute_from_command_line(sys.argv)
    except SettingError as exc:
        sys.exit(f"cronsched: {exc}")
    except OperationalError as exc:
        reason = " ".join(str(exc).split())
        sys.exit(f"cronsched: the database cannot be reached; check DATABASE_URL and that it runs ({reason})")


if __name__ == "__main__":
    main()
