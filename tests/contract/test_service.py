"""Contract, section 2: health, documents, scheduler."""

from __future__ import annotations

import pytest

from tests.support.contract import TIMESTAMP, make_job, ok, refused
from tests.support.installation import Client, Installation


def test_health_is_public_and_knows_of_a_scheduler_in_another_process(anyone: Client) -> None:
    health = ok(anyone.get("/health"))
    assert health["status"] == "healthy"
    assert health["api"] == "v2"
    assert health["scheduler_running"] is True
    assert isinstance(health["scheduled_jobs_count"], int)
    assert TIMESTAMP.fullmatch(health["timestamp"])
    assert {"service", "version", "docs_url"} <= set(health)


def test_the_openapi_document_is_public_and_begins_with_the_base_path(anyone: Client) -> None:
    document = ok(anyone.get("/openapi.json"))
    assert document["openapi"].startswith("3.")
    assert document["paths"]
    assert all(path.startswith("/api/v2") for path in document["paths"])


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_documents_pages_take_nothing_from_other_hosts(installation: Installation, path: str) -> None:
    page = installation.site.get(path)
    assert page.status_code == 200
    assert "/api/v2/openapi.json" in page.text
    assert "https://" not in page.text.replace("https://github.com", "")
    asset = page.text.split('src="')[1].split('"')[0]
    assert installation.site.get(asset).status_code == 200


def test_the_scheduler_status_is_for_admins(admin: Client, anyone: Client) -> None:
    status = ok(admin.get("/scheduler/status"))
    assert status["scheduler_running"] is True
    assert status["scheduler_is_leader"] is True
    assert status["heartbeat_age_seconds"] < 5
    assert status["fencing_token"] >= 1
    assert {"scheduled_jobs_count", "last_resync_at", "leader_id", "heartbeat_at", "backlog"} <= set(status)
    refused(anyone.get("/scheduler/status"), 401, "Authentication required")


def test_a_resync_from_the_web_process_reaches_the_leader(admin: Client) -> None:
    make_job(admin)
    report = ok(admin.post("/scheduler/resync"))
    assert report["message"] == "Scheduler resync completed"
    assert TIMESTAMP.fullmatch(report["ran_at"])
    counts = ["db_jobs_total", "db_jobs_active", "scheduled_now", "scheduled_added", "scheduled_removed"]
    counts += ["expired_auto_paused", "orphaned_removed", "invalid_cron"]
    assert all(type(report[name]) is int for name in counts)
    assert report["db_jobs_total"] >= report["db_jobs_active"] >= 1
