"""The texts of the OpenAPI document that no class has: its introduction, a summary for each operation, and what a field
is, where neither the serializer nor the model says it.
"""

from __future__ import annotations

from typing import Any

from django.utils.text import capfirst

INTRODUCTION = """\
Scheduled jobs that call webhooks and dispatch GitHub Actions workflows.

**Tokens.** `POST /api/v2/auth/login` answers with an access token (an hour) and a refresh token (30 days). Send
`Authorization: Bearer TOKEN`. Scripts and CI use a personal token instead (`POST /api/v2/auth/tokens`): it lives up to
two years, may be limited to reading, and can be revoked.

**Roles.** `admin` may do everything; `user` creates jobs, and edits, runs and deletes their own; `viewer` reads.

**Errors** have one shape: `error` is short and stable, compare it; `message` tells a person what is wrong and what to
do; `fields` has the messages of every wrong field. Unknown values of filters are 400.

**Times** are ISO 8601 in UTC with `Z`, but for `next_execution_at`, which has the offset of the scheduler's zone. Days
(`start_date`, `end_date`) are in the scheduler's zone.

**Pages.** Lists take `page` and `limit`, and answer with `total`, `page`, `limit` and `total_pages`.

**Conditional requests.** `GET /api/v2/jobs` has an `ETag`; send it as `If-None-Match` to get 304 while nothing changed.

**Limits.** A body has at most 5 MiB, metadata 64 KiB. 429 comes with `Retry-After` in seconds.

**What a target gets.** Each call carries an `Idempotency-Key`, the execution's id, which stays the same for its
retries: a receiver can recognise a repeated call by it.
"""

SUMMARIES = {
    "get_audit": "Read the audit trail",
    "post_login": "Log in",
    "post_form_login": "Log in with a form",
    "post_logout": "Log out",
    "get_me": "Show my account",
    "post_refresh": "Renew the access token",
    "post_register": "Create an account",
    "get_sessions": "List my sessions",
    "delete_session": "End one of my sessions",
    "get_api_tokens": "List my personal tokens",
    "post_api_tokens": "Create a personal token",
    "delete_api_token": "Revoke a personal token",
    "get_users": "List accounts",
    "get_user": "Show an account",
    "put_user": "Change an account",
    "delete_user": "Delete an account",
    "get_preferences": "Show notification preferences",
    "put_preferences": "Change notification preferences",
    "get_ui_preferences": "Show frontend preferences",
    "put_ui_preferences": "Change frontend preferences",
    "get_verify": "Check the access token",
    "get_calendars": "List business calendars",
    "post_calendars": "Create a business calendar",
    "get_calendar": "Show a business calendar",
    "put_calendar": "Change a business calendar, or show what that would do",
    "delete_calendar": "Delete a business calendar",
    "get_calendar_year": "List the closed days of a year",
    "get_batches": "List batches",
    "get_batch": "Show a batch",
    "post_cancel_batch": "Cancel the runs of a batch that are left",
    "post_pause_batch": "Pause a batch",
    "post_resume_batch": "Resume a batch",
    "post_fill": "Fill fire times of the past",
    "get_single_runs": "List a job's single runs to come",
    "post_single_runs": "Plan a single run",
    "delete_single_run": "Cancel a single run",
    "get_windows": "List windows and pauses",
    "post_windows": "Open a window",
    "get_window": "Show a window",
    "put_window": "Change or renew a window",
    "delete_window": "End a window",
    "get_executions": "List executions",
    "get_execution": "Show an execution",
    "post_cancel": "Cancel an execution",
    "get_exchange": "The request and the answer of an execution",
    "get_statistics": "Count executions",
    "get_health": "Check the service",
    "get_categories": "List categories",
    "post_categories": "Create a category",
    "put_category": "Change a category",
    "delete_category": "Disable a category",
    "get_jobs": "List jobs",
    "post_jobs": "Create a job",
    "get_job": "Show a job",
    "put_job": "Change a job",
    "delete_job": "Delete a job and its executions",
    "post_execute": "Run a job now",
    "get_job_executions": "List the executions of a job",
    "get_job_execution": "Show an execution of a job",
    "get_job_statistics": "Count the executions of a job",
    "get_explain": "Explain why a job ran or did not",
    "post_bulk_upload": "Create jobs from a CSV file",
    "post_cron_description": "Describe a cron expression",
    "post_cron_preview": "List the next fire times of a cron expression",
    "post_test_run": "Call a target once, without a job",
    "post_validate_cron": "Check a cron expression",
    "get_notifications": "List my notifications",
    "delete_notification": "Delete a notification",
    "put_read": "Mark a notification as read",
    "delete_delete_read": "Delete my read notifications",
    "put_read_all": "Mark all notifications as read",
    "get_unread_count": "Count my unread notifications",
    "get_pic_teams": "List teams",
    "post_pic_teams": "Create a team",
    "put_pic_team": "Change a team",
    "delete_pic_team": "Disable a team",
    "post_resync": "Reconcile the scheduler with the database",
    "get_status": "Show the scheduler's state",
    "get_slack_settings": "Show the Slack settings",
    "put_slack_settings": "Change the Slack settings",
}
# By the name of the field, or by schema and field where a name means several things.
FIELDS = {
    "access_token": "Bearer token of the API.",
    "address": "The client's IP address.",
    "answer": "One word: success, failed, skipped, missed, paused, expired, not_due and the like.",
    "api": "Version of the API.",
    "at": "The time in question, UTC.",
    "attempts": "The calls: `started_at`, `duration_seconds`, `status`, `error` of each.",
    "average_duration_seconds": "Mean duration in seconds.",
    "backlog": "Jobs that are due and not yet fired.",
    "beginning": "The first characters of the token, to recognise it by.",
    "browser_notifications": "Kept for the frontend; the server does not read it.",
    "categories": "Categories, by name.",
    "channel": "Slack channel; empty for the webhook's own.",
    "completed_at": "When it ended, UTC; null before.",
    "count": "How many.",
    "created_at": "When it was created, UTC.",
    "created_by": "Id of the owner; null if the account is gone.",
    "created_count": "Rows that became jobs, or would in a dry run.",
    "daily_digest": "Whether a digest is mailed each morning.",
    "database": "Whether the database answers.",
    "db_jobs_active": "Active jobs in the database.",
    "db_jobs_total": "Jobs in the database.",
    "default_github_owner": "GitHub owner of rows without one.",
    "deleted_count": "How many were deleted.",
    "deleted_job": "The deleted job: id and name.",
    "deleted_user": "The deleted account: id and username.",
    "description": "The schedule in words.",
    "detail": "The message, for older clients.",
    "details": "Further facts.",
    "docs_url": "Path of the documentation.",
    "dry_run": "Whether nothing was created.",
    "duration_seconds": "Seconds from the first call to the end; null before.",
    "email": "E-mail address, in lower case.",
    "email_on_job_disabled": "Whether the owner is mailed when somebody else disables a job.",
    "email_on_job_failure": "Whether failures are mailed to this address.",
    "email_on_job_success": "Whether successes are mailed to this address.",
    "error": "Short and stable: compare this.",
    "error_count": "Rows with an error.",
    "error_message": "Why it failed, was missed or skipped; empty on success.",
    "errors": "The rows that cannot be used: row, job name, column, error and message.",
    "execution": "The execution.",
    "execution_id": "Id of the execution.",
    "executions": "Executions, newest first.",
    "expired_auto_paused": "Jobs that were disabled because their end date has passed.",
    "expires_at": "When it ends, UTC.",
    "expires_in": "Seconds until the access token ends.",
    "expires_in_days": "Days until it ends, 1 to 730.",
    "facts": "What the answer rests on.",
    "failed_count": "Failed executions.",
    "failed_executions": "Failed executions.",
    "fencing_token": "Grows with each change of the leader.",
    "from": "Start of the range, UTC; null for none.",
    "heartbeat_age_seconds": "Seconds since the leader's last heartbeat; null if there was none.",
    "heartbeat_at": "The leader's last heartbeat, UTC.",
    "id": "Id (UUID).",
    "invalid_cron": "Jobs whose schedule cannot be used.",
    "is_active": "Whether it is enabled.",
    "is_current": "Whether it is the session of this request.",
    "is_enabled": "Whether messages are sent to Slack.",
    "is_read": "Whether the caller has read it.",
    "job": "The job.",
    "job_id": "Id of the job.",
    "job_name": "Name of the job.",
    "jobs": "Jobs.",
    "jobs_table_columns": "Which columns the job table shows.",
    "jobs_updated": "How many jobs show the new values.",
    "kind": "`api` for logins of the API, `admin` for sessions of the admin.",
    "last_execution_at": "When the latest execution started, UTC; null if there was none.",
    "last_resync_at": "The last full reconciliation, UTC.",
    "last_status": "Outcome of the latest execution; null if there was none.",
    "last_used_at": "When it was last used, UTC, by the minute; null if never.",
    "latest_execution": "The newest execution; null if there was none.",
    "leader_id": "host:pid of the leader; null while none leads.",
    "limit": "Items a page.",
    "message": "A sentence for a person.",
    "name": "Name.",
    "next_runs": "The next fire times, with the offset of the zone.",
    "notification": "The notification.",
    "notifications": "Notifications, newest first.",
    "ok": "Whether the call succeeded.",
    "original_column_count": "Columns of the file.",
    "original_row_count": "Rows of the file.",
    "orphaned_removed": "Entries without a job that were removed.",
    "otp": "Code of the second factor, for accounts that have one.",
    "output": "The first 1,000 characters of the answer.",
    "page": "Number of the page, from 1.",
    "password": "Password.",
    "per_page": "Items a page.",
    "weekend_days": "The days of the week that are closed: 1 is Monday, 7 is Sunday.",
    "country": "The country whose national holidays are closed (ISO 3166-1), such as JP; empty for none.",
    "CalendarDay.date": "The day.",
    "CalendarDay.is_open": "Whether the day is open, whatever its weekday and the national holidays say.",
    "CalendarDay.label": "Why, such as 年末年始.",
    "CalendarDayRequest.date": "The day.",
    "CalendarDayRequest.is_open": "Whether the day is open, whatever its weekday and the national holidays say.",
    "CalendarDayRequest.label": "Why, such as 年末年始.",
    "calendars": "The business calendars.",
    "year": "The year.",
    "provisional": "Whether its national holidays are calculated, not yet announced.",
    "reason": "Why, for people.",
    "starts_at": "A fire time is inside from here on.",
    "ends_at": "A fire time is inside before it; null until somebody ends it.",
    "minutes": "How long a recurring window is open each time.",
    "is_for_all": "Whether it covers every job.",
    "hosts": "Hosts of webhook URLs.",
    "made_by": "The e-mail address of who made it.",
    "paused_at": "Since when no further run is started, UTC; null if it goes on.",
    "at_once": "How many of its runs are open at a time.",
    "Batch.cancelled_at": "When the rest was cancelled, UTC; null if it was not.",
    "batches": "The batches.",
    "done": "Runs that succeeded.",
    "BatchProgress.failed": "Runs that ended otherwise, or could not be started.",
    "open": "Runs under way.",
    "left": "Runs still to start.",
    "fire_times": "The fire times, in order.",
    "FillAnswer.batch": "The batch that runs them; null in a dry run.",
    "which": "gaps: fire times without a run (none, skipped, missed, cancelled). failed: whose run failed. all.",
    "fire_time": "The fire time, UTC.",
    "single_runs": "The single runs to come, in order.",
    "windows": "The windows.",
    "pic_team": "The team.",
    "pic_teams": "Teams, by name.",
    "preferences": "The preferences.",
    "ran_at": "When it ran, UTC.",
    "range": "The range that was counted.",
    "read_at": "When the caller read it, UTC; null before.",
    "refresh_token": "Token for `POST /auth/refresh`.",
    "related_execution_id": "Id of the execution; null if there is none, or it is gone.",
    "related_job_id": "Id of the job; null if there is none, or it is gone.",
    "removed_column_count": "Columns without a known header.",
    "removed_empty_row_count": "Empty rows.",
    "response_status": "HTTP status of the last answer; null without one.",
    "role": "admin, user or viewer.",
    "run_attempt": "Attempt of the GitHub run.",
    "run_conclusion": "Conclusion of the GitHub run, such as success or failure.",
    "run_duration_seconds": "Seconds that the GitHub run took.",
    "run_url": "Page of the GitHub run.",
    "running_count": "Executions under way.",
    "running_executions": "Executions under way.",
    "scheduled_added": "Entries that were added.",
    "scheduled_for": "The fire time, UTC; null for manual runs.",
    "scheduled_jobs_count": "Active jobs with a next fire time.",
    "scheduled_now": "Entries after the reconciliation.",
    "scheduled_removed": "Entries that were removed.",
    "scheduler_is_leader": "Whether a scheduler leads.",
    "scheduler_running": "Whether a scheduler leads.",
    "schedules": "Different schedules that the leader keeps.",
    "scope": "read or write.",
    "service": "Name of the service.",
    "sessions": "Sessions, newest first.",
    "slack_handle": "Slack handle that alerts mention, such as @qa-team.",
    "slack_settings": "The Slack settings.",
    "slug": "Short name of a-z, 0-9 and '-', made from the name.",
    "started_at": "When it started, UTC.",
    "statistics": "The totals.",
    "stats": "Counts of the file.",
    "status": "queued, running, success, failed, skipped, missed or cancelled.",
    "Health.status": "healthy; degraded while no scheduler leads; unhealthy while the database does not answer.",
    "status_code": "HTTP status of the answer.",
    "success": "True.",
    "success_count": "Successful executions.",
    "success_rate": "Successful executions in percent.",
    "successful_executions": "Successful executions.",
    "target": "What was called: the URL, or owner/repo/workflow.",
    "timestamp": "Now, UTC.",
    "timezone": "The scheduler's zone.",
    "title": "Title.",
    "to": "End of the range, UTC, exclusive; null for none.",
    "token": "The token, shown this once.",
    "token_type": "bearer.",
    "tokens": "Personal tokens, newest first.",
    "total": "Items on all pages.",
    "total_executions": "Executions without skipped and missed fire times.",
    "total_pages": "Number of pages.",
    "trigger_type": "scheduled or manual.",
    "type": "Kind.",
    "Notification.type": "success, error, warning or info.",
    "TestRunAnswer.type": "webhook or github.",
    "unread_count": "Unread notifications.",
    "updated_at": "When it was last changed, UTC.",
    "updated_count": "How many were changed.",
    "updated_fields": "Names of the fields that were sent.",
    "user": "The account.",
    "user_id": "Id of the account.",
    "username": "Username, in lower case.",
    "users": "Accounts, by name.",
    "valid": "Whether it is valid.",
    "version": "Version of Cronsched.",
    "webhook_url": "The stored webhook URL, masked.",
    "weekly_report": "Whether a report is mailed each Monday.",
}


def _of_jobs() -> dict[str, str]:
    """The texts of a job's fields: each has one where it is declared."""
    # The settings import this module for its introduction, before there are models.
    from jobs.field_traits import declared
    from jobs.models import Job

    return {
        field.name: str(field.traits.help or field.column.help_text or capfirst(field.column.verbose_name))
        for field in declared(Job)
    }


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add summaries and texts of fields to the document (a postprocessing hook of drf-spectacular)."""
    for operations in result["paths"].values():
        for operation in operations.values():
            if summary := SUMMARIES.get(operation.get("operationId", "")):
                operation["summary"] = summary
    texts = _of_jobs() | FIELDS
    for name, schema in result.get("components", {}).get("schemas", {}).items():
        for field, value in schema.get("properties", {}).items():
            if not value.get("description") and "$ref" not in value:
                text = texts.get(f"{name}.{field}") or texts.get(field)
                if text:
                    value["description"] = text
    return result
