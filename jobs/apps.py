from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_save


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        from accounts import roles
        from accounts.models import User
        from taxonomy.models import Category, PicTeam

        # The job list shows slugs and owners, so a renamed label or a deleted account changes it.
        for label in (Category, PicTeam):
            post_save.connect(_list_changed, sender=label, dispatch_uid=f"jobs {label.__name__}")
        post_delete.connect(_list_changed, sender=User, dispatch_uid="jobs User")
        roles.everyone_may("jobs.view_job")
        roles.users_may("jobs.add_job", "jobs.change_job", "jobs.delete_job")


def _list_changed(**_: Any) -> None:
    from jobs.models import Revision

    Revision.bump()
