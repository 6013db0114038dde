"""Traces by OpenTelemetry."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.target import Target, wait_until

pytestmark = pytest.mark.django_db


def test_traces_go_where_the_environment_says(tmp_path: Path, target: Target) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": target.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    with Installation(tmp_path, schedulers=0, env=env) as installation:
        assert installation.anyone.get("/health").status_code == 200
        wait_until(
            lambda: any(one.path == "/v1/traces" and b"api/v2/health" in one.body for one in target.arrivals), 20
        )
