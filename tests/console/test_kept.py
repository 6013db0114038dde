"""What pages count is kept until the jobs change."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from console import kept
from jobs.models import Revision

pytestmark = pytest.mark.django_db


@pytest.fixture
def numbers() -> Iterator[int]:
    return count(1)


def test_what_is_counted_is_kept_until_an_execution_ends(numbers: Iterator[int]) -> None:
    assert [kept.until_run("key", lambda: next(numbers)) for _ in range(3)] == [1, 1, 1]
    Revision.bump()
    assert kept.until_run("key", lambda: next(numbers)) == 2


def test_what_depends_on_settings_alone_is_kept_until_a_job_is_edited(numbers: Iterator[int]) -> None:
    assert kept.until_edited("key", lambda: next(numbers)) == 1
    Revision.bump()
    assert kept.until_edited("key", lambda: next(numbers)) == 1
    Revision.bump(edited=True)
    assert kept.until_edited("key", lambda: next(numbers)) == 2


def test_each_key_is_counted_by_itself(numbers: Iterator[int]) -> None:
    assert kept.until_run("one", lambda: next(numbers)) == 1
    assert kept.until_run("two", lambda: next(numbers)) == 2
    assert kept.until_run("one", lambda: next(numbers)) == 1
