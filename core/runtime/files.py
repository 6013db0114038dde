"""Files that only their owner may read: the database, exports, generated configuration."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

OWNER_ONLY = 0o600


def open_private(path: str | Path, **kwargs: Any) -> Any:
    """Open a text file for writing with mode 0600, whatever it had before. Raises `OSError`."""
    out = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY), "w", **kwargs)  # noqa: SIM115
    os.fchmod(out.fileno(), OWNER_ONLY)
    return out


def make_private(paths: Iterable[Path]) -> None:
    """Take all rights from others on those of these files that exist and are ours."""
    for path in paths:
        try:
            found = path.stat()
            if found.st_uid == os.geteuid() and found.st_mode & 0o077:
                path.chmod(OWNER_ONLY)
        except OSError:
            continue


def is_open_to_others(folder: Path) -> bool:
    """Whether users outside of the owner's group may look into a folder."""
    return bool(folder.stat().st_mode & 0o007)
