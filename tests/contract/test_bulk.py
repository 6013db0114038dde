"""Contract, section 6: bulk upload."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

import pytest

from tests.support.contract import make_job, ok, refused, unique
from tests.support.installation import Client, Installation

HEADER = ["Job Name", "Cron Schedule (JST)", "Target URL", "End Date", "PIC Team"]


def sheet(*rows: list[str], header: list[str] | None = None) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([header or HEADER, *rows])
    return out.getvalue()


def row(
    name: str | None = None,
    cron: str = "0 3 * * *",
    url: str = "https://x.example.com/",
    end: str = "2099-12-31",
    team: str = "Contract",
) -> list[str]:
    return [unique("bulk") if name is None else name, cron, url, end, team]


def upload(client: Client, content: str | bytes, **form: str) -> Any:
    raw = content.encode() if isinstance(content, str) else content
    return client.post("/jobs/bulk-upload", files={"file": ("jobs.csv", raw, "text/csv")}, data=form)


def only_error(client: Client, content: str, **form: str) -> dict[str, Any]:
    answer = ok(upload(client, content, dry_run="true", **form), 400)
    assert (answer["error"], answer["error_count"]) == ("CSV validation failed", 1)
    error: dict[str, Any] = answer["errors"][0]
    return error


def created(client: Client, content: str | bytes, **form: str) -> dict[str, Any]:
    answer = ok(upload(client, content, **form))
    assert (answer["created_count"], answer["errors"]) == (1, [])
    job: dict[str, Any] = ok(client.get(f"/jobs/{answer['jobs'][0]['id']}"))["job"]
    return job


def test_good_rows_are_created_although_others_fail(admin: Client) -> None:
    good, bad = row(), row(cron="99 * * * *")
    answer = ok(upload(admin, sheet(good, bad)))
    assert (answer["message"], answer["dry_run"], answer["created_count"], answer["error_count"]) == (
        "Bulk upload processed",
        False,
        1,
        1,
    )
    assert [set(job) for job in answer["jobs"]] == [{"id", "name", "is_active"}]
    error = answer["errors"][0]
    assert (error["row"], error["job_name"], error["error"], error["column"]) == (
        3,
        bad[0],
        "Invalid cron expression",
        "cron schedule (jst)",
    )
    job = ok(admin.get(f"/jobs/{answer['jobs'][0]['id']}"))["job"]
    assert (job["name"], job["enable_email_notifications"], job["created_by"]) == (
        good[0],
        False,
        ok(admin.get("/auth/me"))["id"],
    )
    assert job["next_execution_at"] is not None


@pytest.mark.parametrize("flag", ["1", "TRUE", "yes", "Y", "on"])
def test_a_dry_run_creates_nothing(admin: Client, flag: str) -> None:
    good = row()
    answer = ok(upload(admin, sheet(good), dry_run=flag))
    assert (answer["message"], answer["dry_run"], answer["created_count"]) == ("CSV validated successfully", True, 1)
    assert answer["jobs"] == [
        {
            "name": good[0],
            "is_active": True,
            "cron_expression": "0 3 * * *",
            "end_date": "2099-12-31",
            "pic_team": "contract",
        }
    ]
    assert ok(admin.get("/jobs", params={"search": good[0]}))["jobs"] == []


def test_errors_only(admin: Client) -> None:
    assert ok(upload(admin, sheet(row(end="x"))), 400)["error"] == "Bulk upload failed"
    assert ok(upload(admin, sheet(row(end="x")), dry_run="1"), 400)["error"] == "CSV validation failed"


def test_header_only(admin: Client) -> None:
    answer = ok(upload(admin, sheet()))
    assert (answer["created_count"], answer["error_count"], answer["jobs"], answer["errors"]) == (0, 0, [], [])
    assert set(answer["stats"].values()) == {0, 5}


def test_who_may_upload(user: Client, viewer: Client) -> None:
    ok(upload(user, sheet(row())))
    refused(upload(viewer, sheet(row())), 403, "Insufficient permissions")


def test_no_file(admin: Client) -> None:
    refused(admin.post("/jobs/bulk-upload", files={"other": ("x", b"x")}), 400, "Missing file")
    refused(admin.post("/jobs/bulk-upload", json={}), 400, "Missing file")
    refused(admin.post("/jobs/bulk-upload", data={"file": "text"}), 400, "Missing file")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b" , ,\n",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"PK\x03\x04\x14\x00\x06\x00",
        b"a,b\n1,2\n",
        b'Job Name,"Cron\nx',
        b"\xff\xfe\x00\xd8",
    ],
)
def test_what_is_no_csv(admin: Client, content: bytes) -> None:
    refused(upload(admin, content), 400, "Invalid CSV")


def test_a_file_over_the_limit(admin: Client) -> None:
    assert ok(upload(admin, b"x" * (21 * 1024 * 1024)), 413)["error"] == "Body too large"


ALIASES = {
    "name": ["job name", "name"],
    "cron": ["cron schedule (jst)", "cron expression", "cron", "cron_expression"],
    "status": ["status", "is_active", "active"],
    "url": ["target url", "target_url", "url"],
    "category": ["category", "job category", "job_category"],
    "end": ["end date", "end_date"],
    "team": ["pic team", "pic_team", "pic team slug", "pic_team_slug"],
    "branch": ["branch", "ref"],
    "body": ["request body", "request_body", "metadata"],
}


@pytest.mark.parametrize("number", range(4))
def test_every_header_alias(admin: Client, number: int) -> None:
    header = [titles[number % len(titles)].title() for titles in ALIASES.values()]
    name = unique("alias")
    cells = [
        name,
        "0 4 * * *",
        "Disabled",
        "https://x.example.com/",
        "Refund",
        "2099-01-01",
        "contract",
        "main",
        '{"a": 1}',
    ]
    job = created(admin, sheet(cells, header=header))
    assert {k: job[k] for k in ("name", "is_active", "category", "metadata", "target_url")} == {
        "name": name, "is_active": False, "category": "refund", "metadata": {"a": 1, "branchDetails": "main"},
        "target_url": "https://x.example.com/",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("owner", "repo", "flow"),
    [
        ("github owner", "repo", "workflow name"),
        ("owner", "github repo", "github workflow name"),
        ("github_owner", "github_repo", "github_workflow_name"),
    ],
)
def test_github_aliases(admin: Client, owner: str, repo: str, flow: str) -> None:
    header = [*HEADER, owner, repo, flow]
    job = created(admin, sheet([*row(url=""), "acme", "shop", "ci.yml"], header=header))
    assert (job["github_owner"], job["github_repo"], job["github_workflow_name"]) == ("acme", "shop", "ci.yml")


def test_the_first_alias_that_is_not_empty_wins(admin: Client) -> None:
    cells = [*row(), "", "https://second.example.com/"]
    header = ["name", "cron", "url", "end date", "pic team", "target url", "target_url"]
    assert created(admin, sheet(cells, header=header))["target_url"] == "https://second.example.com/"


@pytest.mark.parametrize("word", ["disable", "Disabled", "INACTIVE", "false", "0", "no", "n", "off"])
def test_words_for_inactive(admin: Client, word: str) -> None:
    assert created(admin, sheet([*row(), word], header=[*HEADER, "Status"]))["is_active"] is False


@pytest.mark.parametrize("word", ["", "enabled", "yes", "anything"])
def test_all_else_is_active(admin: Client, word: str) -> None:
    assert created(admin, sheet([*row(), word], header=[*HEADER, "Status"]))["is_active"] is True


@pytest.mark.parametrize(
    "url",
    [
        "acme/shop/ci.yml", "/acme/shop/actions/workflows/ci.yml", "github.com/acme/shop/actions/workflows/ci.yml",
        "https://github.com/acme/shop/actions/workflows/ci.yml",
        "https://api.github.com/repos/acme/shop/actions/workflows/ci.yml/dispatches",
    ],
)  # fmt: skip
def test_dispatch_urls_win(admin: Client, url: str) -> None:
    job = created(admin, sheet([*row(), url], header=[*HEADER, "Dispatch URL"]))
    assert (job["target_url"], job["github_owner"], job["github_repo"], job["github_workflow_name"]) == (
        None,
        "acme",
        "shop",
        "ci.yml",
    )


def test_owners(admin: Client) -> None:
    header = [*HEADER, "Repo", "Workflow Name"]
    assert created(admin, sheet([*row(url=""), "acme/shop", "ci"], header=header))["github_owner"] == "acme"
    assert (
        created(admin, sheet([*row(url=""), "shop", "ci"], header=header), default_github_owner="fallback")[
            "github_owner"
        ]
        == "fallback"
    )
    assert only_error(admin, sheet([*row(url=""), "shop", "ci"], header=header))["error"] == "Missing GitHub owner"


def test_owner_repo_workflow_as_url(admin: Client) -> None:
    assert created(admin, sheet(row(url="acme/shop/ci")))["github_repo"] == "shop"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp932"])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_encodings_and_separators_of_spreadsheet_programs(admin: Client, encoding: str, separator: str) -> None:
    name = unique("夜間バッチ①")
    text = "\r\n".join(separator.join(cells) for cells in (HEADER, row(name)))
    assert created(admin, text.encode(encoding))["name"] == name


def test_a_body_may_span_lines(admin: Client) -> None:
    job = created(admin, sheet([*row(), '{\n  "a": "x\\ny",\n  "b": [1, 2]\n}'], header=[*HEADER, "Request Body"]))
    assert job["metadata"] == {"a": "x\ny", "b": [1, 2]}


def test_a_branch_gives_way_to_the_bodys(admin: Client) -> None:
    job = created(
        admin, sheet([*row(), "main", '{"branchDetails": "dev"}'], header=[*HEADER, "Branch", "Request Body"])
    )
    assert job["metadata"] == {"branchDetails": "dev"}


def test_blank_columns_and_rows_are_removed_counted_and_numbered(admin: Client) -> None:
    header = [*HEADER[:2], "", *HEADER[2:], " "]
    bad = row(team="Nobody")
    cells = [*bad[:2], "x", *bad[2:]]
    answer = ok(upload(admin, sheet(["", "", "", "", "", "", ""], cells[:6], [], [" "], header=header)), 400)
    assert answer["stats"] == {
        "original_column_count": 7,
        "original_row_count": 4,
        "removed_column_count": 2,
        "removed_empty_row_count": 3,
    }
    assert [error["row"] for error in answer["errors"]] == [3]


@pytest.mark.parametrize(
    ("cells", "more", "error", "said"),
    [
        (row(), {"Dispatch URL": "nonsense"}, "Invalid dispatch_url", "owner/repo/workflow"),
        (row(), {"Category": "No such"}, "Invalid category", "Unknown category"),
        (row(end=""), {}, "Missing required fields", "end_date"),
        (row(end="soon"), {}, "Invalid end_date", "YYYY-MM-DD"),
        (row(end="2020-01-01"), {}, "Invalid end_date", "has passed"),
        (row(team="No Such"), {}, "Invalid PIC team", "Unknown PIC team."),
        (row(team=""), {}, "Invalid PIC team", "PIC team is required."),
        (row(name=""), {}, "Missing required fields", "name"),
        (row(cron=""), {}, "Missing required fields", "cron_expression"),
        (row(cron="* * *"), {}, "Invalid cron expression", "3 fields"),
        (row(), {"Request Body": "{x"}, "Invalid JSON in Request Body", "JSON"),
        (row(), {"Request Body": "[1]"}, "Invalid Request Body", "object"),
        (row(url="ftp://x.example.com"), {}, "Invalid target_url", "http"),
        (row(url="http://169.254.169.254/"), {}, "Invalid target_url", "not allowed"),
        (row(url=""), {}, "Missing target configuration", "target_url"),
        (row(url="=HYPERLINK(A1)"), {}, "Formula in cell", "target url"),
        (row(name="=1+1"), {}, "Formula in cell", "job name"),
    ],
)
def test_row_errors(admin: Client, cells: list[str], more: dict[str, str], error: str, said: str) -> None:
    found = only_error(admin, sheet([*cells, *more.values()], header=[*HEADER, *more]))
    assert (found["error"], found["row"], found["job_name"]) == (error, 2, cells[0])
    assert said in found["message"]
    assert {"column"} <= set(found)


def test_a_team_error_tells_the_team(admin: Client) -> None:
    found = only_error(admin, sheet(row(team="Who's There")))
    assert (found["pic_team"], found["pic_team_slug"]) == ("Who's There", "who-s-there")


def test_duplicates(admin: Client) -> None:
    taken = make_job(admin)["name"]
    assert only_error(admin, sheet(row(taken)))["error"] == "Duplicate job name"
    name = unique("twice")
    answer = ok(upload(admin, sheet(row(name), row(name))))
    assert (answer["created_count"], [(e["row"], e["error"]) for e in answer["errors"]]) == (
        1,
        [(3, "Duplicate job name in CSV")],
    )


def test_the_first_error_in_the_contracts_order(admin: Client) -> None:
    header = [*HEADER, "Dispatch URL", "Category", "Request Body"]
    cells = [*row(name="", cron="x", url="nowhere", end="x", team="No"), "bad url", "No", "{"]
    right = [unique("order"), "0 3 * * *", "https://x.example.com/", "2099-01-01", "contract", "", "", ""]
    order = [
        (5, "Invalid dispatch_url"),
        (6, "Invalid category"),
        (3, "Invalid end_date"),
        (4, "Invalid PIC team"),
        (0, "Missing required fields"),
        (1, "Invalid cron expression"),
        (7, "Invalid JSON in Request Body"),
        (2, "Invalid target_url"),
    ]
    for column, error in order:
        assert only_error(admin, sheet(cells, header=header))["error"] == error
        cells[column] = right[column]


def test_dates_as_spreadsheet_programs_write_them(admin: Client) -> None:
    assert created(admin, sheet(row(end="2099/1/5")))["end_date"] == "2099-01-05"


def test_one_notification_for_the_whole_upload(admin: Client, viewer: Client) -> None:
    before = ok(viewer.get("/notifications"))["total"]
    ok(upload(admin, sheet(row(), row(), row())))
    after = ok(viewer.get("/notifications"))
    assert after["total"] == before + 1
    assert "3 jobs were created" in after["notifications"][0]["message"]


@pytest.mark.long
def test_ten_thousand_rows(admin: Client, installation: Installation) -> None:
    rows = [
        [unique(f"many {n}"), f"{n % 60} {n % 24} * * *", "https://x.example.com/", "2099-12-31", "Contract"]
        for n in range(10_000)
    ]
    started = time.monotonic()
    answer = ok(upload(admin, sheet(*rows)))
    print(f"10,000 rows in {time.monotonic() - started:.2f} s")
    assert answer["created_count"] == 10_000
    installation.python("from jobs.models import Job; Job.objects.filter(name__startswith='many ').delete()")
