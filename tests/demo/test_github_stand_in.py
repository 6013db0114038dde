"""What the stand-in for GitHub does that the product does not ask for; tests of `executions` tell the rest."""

from __future__ import annotations

import io
import zipfile

import pytest
import requests

from demo.github_stand_in import GitHub, Run


@pytest.mark.parametrize("attempt", ["", "/attempts/1"])
def test_the_logs_of_a_run_are_an_archive_with_a_file_for_each_job(attempt: str) -> None:
    with GitHub() as github:
        github.log = "line 1"
        github.runs[7] = Run(7, "acme/shop", "e2e.yml", "failure", 0, github.url)
        logs = f"{github.url}/repos/acme/shop/actions/runs/7{attempt}/logs"
        answer = requests.get(logs, headers={"Authorization": "Bearer x"}, allow_redirects=False, timeout=5)
        assert answer.status_code == 302
        content = requests.get(answer.headers["Location"], timeout=5).content
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
        assert [name.split("_", 1)[1] for name in names] == ["build.txt", "e2e (chrome).txt"]
        missing = requests.get(logs.replace("/7", "/8"), headers={"Authorization": "Bearer x"}, timeout=5)
        assert missing.status_code == 404
