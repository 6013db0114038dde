"""Which jobs name which secrets, so that a secret in use cannot be deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from jobs import request_rules
from jobs.models import Job, SecretUse
from settings_app.models import Secret


def record(jobs: Sequence[Job]) -> None:
    """Store which secrets these jobs name now, in the caller's transaction."""
    named = {job.pk: request_rules.secret_names(job) for job in jobs}
    wanted = set().union(*named.values())
    forget(named)
    if not wanted:
        return
    secrets = dict(Secret.objects.filter(name__in=wanted).values_list("name", "pk"))
    SecretUse.objects.bulk_create(
        [
            SecretUse(job_id=pk, secret_id=secrets[name])
            for pk, names in named.items()
            for name in names
            if name in secrets
        ],
        batch_size=500,
    )


def forget(job_ids: Iterable[UUID]) -> None:
    """Remove what is stored about these jobs."""
    ids = list(job_ids)
    for start in range(0, len(ids), 500):
        SecretUse.objects.filter(job__in=ids[start : start + 500]).delete()
