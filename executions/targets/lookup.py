"""Look-ups in the database while a call is made: in threads, so that neither the event loop nor DNS look-ups wait."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from executions.http.connection import DeliveryError

log = logging.getLogger("cronsched.lookup")
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="lookup")
_LATER = ThreadPoolExecutor(1, thread_name_prefix="later")
_TRIES = 3
T = TypeVar("T")


async def looked_up(work: Callable[[], T], what: str) -> T:
    """The result of a function that uses the database. `what` says what was looked up, for the reason of a failure.
    Raises `DeliveryError` if the database does not answer: no call was made.
    """
    return await asyncio.get_running_loop().run_in_executor(_THREADS, in_thread, work, what)


def later(work: Callable[[], object], what: str) -> None:
    """Call a function that uses the database soon, in a thread that nobody waits for; `what` it looks up. A failure is
    logged.
    """
    _LATER.submit(_logged, work, what)


def _logged(work: Callable[[], object], what: str) -> None:
    try:
        in_thread(work, what)
    except DeliveryError as exc:
        log.warning("%s", exc)
    except Exception:
        log.exception("%s could not be looked up", what)


def in_thread(work: Callable[[], T], what: str) -> T:
    """Run a function with a database connection of its own, which is closed afterwards. Raises `DeliveryError`."""
    for left in reversed(range(_TRIES)):
        try:
            close_old_connections()
            return work()
        except (DatabaseError, InterfaceError) as exc:
            if not left:
                raise DeliveryError(f"the database did not answer when {what} was looked up", "connect") from exc
            time.sleep(0.5)
        finally:
            connection.close()
    raise AssertionError
