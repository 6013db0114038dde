"""The lists of the admin look up what their filters and links ask for, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.models import User
from core.admin import ProductAdmin

LISTS = sorted(f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry)


def path_of(name: str) -> str:
    return reverse(f"admin:{name}_changelist")


@pytest.mark.django_db
class TestLookUps:
    @pytest.mark.parametrize("name", LISTS)
    def test_no_list_takes_any_look_up(self, browser: Client, name: str) -> None:
        model = next(one for one in admin.site._registry if f"{one._meta.app_label}_{one._meta.model_name}" == name)
        for field in model._meta.get_fields():
            for look_up in ("regex", "iregex", "startswith", "contains", "gt", "range", "has_key"):
                answer = browser.get(path_of(name), {f"{field.name}__{look_up}": "a"})
                assert answer.status_code in {302, 400, 403}, f"{field.name}__{look_up}"

    @pytest.mark.parametrize(
        ("name", "look_up"),
        [
            ("jobs_job", {"name__regex": "^(a+)+$"}),
            ("jobs_job", {"notification_emails__contains": "a"}),
            ("jobs_job", {"notification_emails": "a"}),
            ("jobs_job", {"created_by__password__startswith": "p"}),
            ("jobs_job", {"github_credential__token__startswith": "e"}),
            ("executions_execution", {"overrides__metadata__api_key__startswith": "O"}),
            ("executions_execution", {"overrides__contains": "x"}),
            ("executions_execution", {"output__contains": "x"}),
            ("audit_changerecord", {"address__startswith": "127"}),
            ("audit_changerecord", {"difference__contains": "x"}),
        ],
    )
    def test_a_viewer_asks_for_no_hidden_column(
        self, browser_of: Callable[[User], Client], make_user: Callable[..., User], name: str, look_up: dict[str, str]
    ) -> None:
        browser = browser_of(make_user("vera", "viewer", admin_access=True))
        assert browser.get(path_of(name), look_up).status_code == 400

    def test_every_list_has_the_rule(self) -> None:
        foreign = {
            str(model._meta) for model, found in admin.site._registry.items() if not isinstance(found, ProductAdmin)
        }
        assert foreign <= {"django_apscheduler.djangojob", "django_apscheduler.djangojobexecution"}

    @pytest.mark.parametrize(
        ("name", "look_up"),
        [
            ("jobs_job", {"is_active__exact": "1"}), ("jobs_job", {"last_status__exact": "failed"}),
            ("jobs_job", {"cron_expression": "0 9 * * *"}), ("executions_execution", {"status__exact": "failed"}),
            ("executions_execution", {"job__pic_team__slug": "qa"}),
            ("executions_execution", {"status__in": "failed,missed"}),
            ("audit_changerecord", {"kind": "created"}), ("accounts_user", {"role__exact": "admin"}),
            ("accounts_loginsession", {"created_at__gte": "2026-01-01 00:00:00+09:00"}),
        ],
    )  # fmt: skip
    def test_filters_and_links_work(self, browser: Client, name: str, look_up: dict[str, str]) -> None:
        assert browser.get(path_of(name), look_up).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(
    "query", [{"o": "99999"}, {"o": "-1.-1.x"}, {"p": "99999999999"}, {"q": "\x00"}, {"q": "'" * 5000}, {"all": "1"}]
)
def test_odd_queries_are_no_error_of_the_server(browser: Client, name: str, query: dict[str, Any]) -> None:
    assert browser.get(path_of(name), query).status_code < 500
