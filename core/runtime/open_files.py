"""The limit of open files of this process (RLIMIT_NOFILE, setrlimit(2)). Connections are open files."""

from __future__ import annotations

import resource


def allow_open_files(count: int) -> None:
    """Let this process have so many open files, or as many as the system allows it; never fewer than before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
