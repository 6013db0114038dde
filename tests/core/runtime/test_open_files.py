"""The limit of open files is raised as far as it may be."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource, sys
from core.runtime.open_files import allow_open_files
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
allow_open_files(wanted)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "allowed"), [(256, 1024, 700, 700), (256, 1024, 5000, 1024), (512, 1024, 300, 512)]
)
def test_it_is_raised_and_never_lowered(soft: int, hard: int, wanted: int, allowed: int) -> None:
    # In a process of its own, because the limit holds for all of it.
    command = [sys.executable, "-c", CODE, str(soft), str(hard), str(wanted)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert int(found.stdout) == allowed
