"""The sentences that the product stores or raises in English, and shows to people in their language.

The API answers in English, and executions, events and problems are stored in English. Pages call `said`, which finds
the sentence by its template and fills the translation with the same values. A text that is no such sentence stays as
it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_noop as _

# `{name}` stands for a value.
SENTENCES = (
    _("The {field} field has an empty list item: remove the extra comma."),
    _("'{item}' is not a value of the {field} field: write *, a number, a range such as 1-5, or a step such as */15."),
    _("The range '{item}' in the {field} field runs backwards: if it goes past the end, write {first},{last}."),
    _("The step in '{item}' of the {field} field is 0: write 1 or more."),
    _("'{item}' in the {field} field has a step but no range: write {one} or {other}."),
    _("'{text}' is not known in the {field} field."),
    _("{value} is out of range in the {field} field: {low} to {high} are allowed."),
    _("'{text}' is unknown; the macros are {names}."),
    _("{count} fields found, 5 are needed: minute, hour, day of month, month, day of week, such as '0 9 * * 1-5'."),
    _("It can never fire: day {day} does not exist in month {months}."),
    _("Write a name for the job."),
    _("The name holds line breaks or control characters: write it in one line."),
    _('A job named "{name}" already exists. Choose another name.'),
    _("Unknown category '{text}'. Choose one that exists."),
    _("The category '{name}' is disabled. Choose an active one."),
    _("PIC team is required. Send 'pic_team' with its slug or name."),
    _("Unknown PIC team. There is no team '{text}': create it first."),
    _("PIC team is disabled. Enable '{name}' or choose another team."),
    _("'metadata' cannot be sent as JSON: {reason}."),
    _("'metadata' is too large: {size} bytes as JSON; {most} KiB are allowed."),
    _("'metadata' may hold neither the NUL character nor NaN."),
    _("Send a list of e-mail addresses."),
    _("'{address}' is not a valid e-mail address."),
    _("'{address}' is outside of the domains {domains}."),
    _("At most {most} addresses are allowed; use a mailing list for more."),
    _("Write the last day as YYYY-MM-DD."),
    _("Write the first day as YYYY-MM-DD."),
    _("The end date {day} has passed. Write today ({today}) or a later day."),
    _("The end date {day} has passed. Set a later end date first."),
    _("The end date {day} is before the start date {start}: the job would never fire."),
    _("The start date {day} comes after the end date {end}."),
    _("Only the job's creator and admins may do this."),
    _("There is no job with the id '{id}'."),
    _("There is no GitHub credential '{name}'."),
    _("'{field}' must be a whole number from {least} to {most}."),
    _("'{field}' must be one of {choices}."),
    _("'{field}' must be text."),
    _("'{field}' is too long: {size} characters, at most {most} are allowed."),
    _("'{field}' may not contain the NUL character."),
    _("'{field}' must be a JSON object."),
    _(
        "Send 'target_url' for a webhook, or 'github_owner', 'github_repo' and 'github_workflow_name' for "
        "GitHub Actions."
    ),
    _("A target is required."),
    _("This is not a URL; write one such as https://example.com/hook."),
    _("The URL is too long: {size} characters, at most {most} are allowed."),
    _("A URL holds no spaces or control characters."),
    _("Write a URL that begins with http:// or https:// and names a host."),
    _("Port 0 cannot be called."),
    _(
        "The address {host} is not allowed: only public addresses may be called, and those that "
        "CRONSCHED_ALLOWED_TARGETS names."
    ),
    _("This job calls a webhook: write a URL."),
    _("'{url}' is not a URL"),
    _(
        "Write owner/repo/workflow, or the workflow's address on GitHub, such as "
        "https://github.com/owner/repo/actions/workflows/build.yml."
    ),
    _("Write the repository's owner, or send 'default_github_owner'."),
    _("'{part}' cannot be a part of a workflow's address: use letters, digits, '.', '_', '-'."),
    _("'branchDetails' names the branch: it must be text."),
    _("A workflow takes at most {most} inputs; these are {count}."),
    _("The inputs of a workflow may have at most {most} characters together."),
    _("{name} may not be used for {workflow}: an admin names its repositories."),
    _("{name} may not be used by this PIC team: an admin names its teams."),
    _("{name} may not be used for {workflow}: an admin names its repositories"),
    _("{name} may not be used by this PIC team: an admin names its teams"),
    _("{name} is for admins: ask one of them, or choose another GitHub credential."),
    _("'{line}' is no repository: write owner/repo, owner/* or owner/repo/workflow.yml."),
    _("The file is not text: save it from the spreadsheet program as CSV (UTF-8)."),
    _("It has more than {most} rows: split it."),
    _("Row {row} has more than {most} columns."),
    _(
        "It cannot be read as CSV ({reason}): row {row} opens a quote that is not closed, or has text after a "
        "closing quote."
    ),
    _("The file is empty. Start from the template."),
    _("Others create jobs with these names at the same time. Try again."),
    _('The name "{name}" stands in an earlier row already.'),
    _("No column has a known header. Start from the template: Job Name, Cron Schedule (JST), ..."),
    _(
        "The column '{title}' holds a formula ({value}): paste it as a value. A text that begins with '=' is "
        "written with an apostrophe in front."
    ),
    _("The slug '{slug}' is taken: choose another name."),
    _("Write the team's Slack handle."),
    _("The name cannot be empty."),
    _("The category General cannot be renamed."),
    _("The category General cannot be disabled: jobs without a category are in it."),
    _("No slug can be made of this name: send 'slug' with letters a-z or digits."),
    _("Give the token a name that says what uses it."),
    _("'scope' is 'read' or 'write'."),
    _("'expires_in_days' is a whole number from 1 to {most}."),
    _("You have a token named '{name}'. Name this one otherwise."),
    _("There is no token with the id '{id}'."),
    _("Too many failed logins {whose}. Try again in {seconds} seconds."),
    _("You have no session with the id '{id}'."),
    _("Check it, and send it again as 'current_password'."),
    _("Send it as 'current_password', or log in again and repeat the change."),
    _("Write a valid e-mail address, such as name@example.com."),
    _("Use another e-mail address."),
    _("Choose another username."),
    _("There is no execution with the id '{id}'."),
    _("It has ended with the status '{status}'."),
    _("{most} of your runs are open: wait until they have ended."),
    _("Wait until the ones under way have ended."),
    _("The token contains invalid characters: copy it again."),
    _("'minutes' is a whole number from 0 to {most}."),
    _("None of these executions may be run again by you."),
    _("A batch has at most {most} runs; these are {count}: narrow them down."),
    _("Only who made the batch and admins may cancel it."),
    _("No run of the batch is left to start."),
    _("The account that made the batch is gone or disabled."),
    _("The workflow run could not be cancelled: {reason}"),
    _("GitHub says that it has ended already; its outcome will be here within a minute."),
    _("GitHub answered {status}. Cancel it on GitHub."),
    _("Webhook returned status {status}"),
    _("Webhook test run succeeded."),
    _("Webhook test run failed. {reason}."),
    _("GitHub Actions dispatch failed. Status: {status}, Response: {text}"),
    _("GitHub token not configured. Cannot trigger workflow for job '{name}'"),
    _("Workflow triggered successfully on branch {ref}"),
    _(
        "the process that dispatched it ended before GitHub's answer; it is not repeated, as the workflow may "
        "have started"
    ),
    _("timed out: no answer within {seconds} s"),
    _("timed out: no connection within {seconds} s"),
    _("the process that made the call was stopped before an answer came"),
    _("internal error: see the log of the process that made the call"),
    _("internal error: its outcome could not be stored"),
    _("given up: no outcome within {hours} hours, jitter and retries not counted"),
    _("given up: {count} processes ended while they carried it out"),
    _("the process that held this run's GitHub token ended; run it again"),
    _("what is stored of the job cannot be carried out: {reason}"),
    _("missed: its call had not begun within {seconds} s (misfire policy: {policy})"),
    _("missed: no scheduler fired it within {seconds} s (misfire policy: {policy}; {count} missed)"),
    _("skipped: the execution before was still under way (overlap policy: {policy})"),
    _("the address is not a URL"),
    _("the address {host} is not allowed as a target"),
    _("the host name {host} could not be resolved"),
    _("{host} resolves to an address that is not allowed as a target"),
    _("the outbound proxy refused a connection to {authority}: {reason}"),
    _("the outbound proxy cannot be reached"),
    _("the target's certificate is not trusted: {reason}"),
    _("no secure connection (TLS) could be made"),
    _("no connection to {host}:{port}: {reason}"),
    _("the target's answer is not valid HTTP"),
    _("the head of the answer is too long"),
    _("the head of the answer has too many lines"),
    _("the connection broke: {reason}"),
    _("the target broke off in the middle of its answer"),
    _("the target closed the connection without an answer"),
    _("cancelled by {who} while the target was being called: what the call starts may have started"),
    _("cancelled by {who}"),
    _("The workflow run ended: {conclusion}. {url}"),
    _("The workflow run was cancelled. {url}"),
    _("The workflow run ran out of GitHub's time limit. {url}"),
    _("The workflow run waits for an approval that is required. {url}"),
    _("The workflow run could not be started: look at the workflow file. {url}"),
    _("The workflow run was given up by GitHub as stale. {url}"),
    _("The workflow run is gone from GitHub. {url}"),
    _("The workflow run ended as {conclusion}. {url}"),
    _("The workflow run was not over after {limit} minutes; it is no longer waited for. {url}"),
    _("GitHub refuses the token with which the run was followed (401); what became of the run is on its page. {url}"),
    _("no scheduler was running"),
    _("GitHub cannot be reached: {reason}"),
    _("GitHub cannot be reached: {reason}."),
    _("GitHub refused it: it has expired or was revoked. Store another one."),
    _("GitHub refuses it: it has expired or was revoked"),
    _("GitHub answered {status}"),
    _("the GitHub App's private key cannot be read: paste the whole PEM file"),
    _("GitHub gave the App no token: status {status}"),
    _("the token holds characters that no token has: paste it again"),
    _("the job's GitHub credential is gone"),
    _(
        "The workflow file cannot be read (GitHub answered {status}): the token lacks the permission "
        "'contents: read', or there is no such file on that branch."
    ),
    _("The workflow file is not valid YAML."),
    _("The workflow cannot be dispatched: add 'workflow_dispatch' to its 'on'."),
    _("The workflow has no input '{name}'."),
    _("The input '{name}' is required: add it to the metadata."),
    _("Slack is switched off"),
    _("no webhook URL is stored"),
    _("Slack cannot be reached: {reason}"),
    _("Slack answered {status}: {text}"),
    _("the mail server did not take it: {reason}"),
    _("Slack needs a webhook URL before it can be enabled."),
    _("Write Slack's webhook URL, which begins with https://."),
    _("New Job Created"),
    _("Jobs Uploaded"),
    _("Job Updated"),
    _("Job Enabled"),
    _("Job Disabled"),
    _("Job Deleted"),
    _("Job Failed"),
    _("Job Completed"),
    _("Job Ending Soon"),
    _("Job Paused"),
    _('Job "{name}" was created by {who}.'),
    _('Job "{name}" was updated by {who}.'),
    _('Job "{name}" was enabled by {who}.'),
    _('Job "{name}" was disabled by {who}.'),
    _('Job "{name}" was deleted by {who}.'),
    _('Job "{name}" was created by {who} in one upload.'),
    _("{count} jobs were created by {who} in one upload."),
    _('Job "{name}" was paused: its end date {day} ({zone}) has passed. Team: {team}.'),
    _('Job "{name}" completed successfully.'),
    _('Job "{name}" failed: {reason}'),
    _('Job "{name}" is off the clock until it is edited: {reason}'),
    _('Job "{name}" ends {left}, on {day} ({zone}). Team: {team}.'),
    _("in {days} days"),
    _("in {days} day"),
    _('GitHub credential "{name}": {reason}'),
    _("No scheduler leads since {when}: no job fires. Start one: manage.py runscheduler."),
    _("The scheduler is late: a fire time of {when} has not been fired."),
    _("More than {count} jobs are due: the scheduler cannot keep up."),
    _("It ran and succeeded."),
    _("It is running."),
    _("It waits for the execution before to end."),
    _("It was cancelled."),
    _("It was {reason}"),
    _("It failed: {reason}"),
    _("The job did not exist yet."),
    _("The schedule cannot be used: {reason}"),
    _("Its end date {day} had passed."),
    _("Its start date {day} had not come."),
    _("The schedule in force then does not name this time."),
    _("The scheduler could not fire it: {reason}"),
    _("It was paused."),
    _("It was paused, by {who}, since {when}."),
    _("It will run, if nothing is changed and a scheduler leads."),
    _("It was created or changed within this minute: it never fires for the past."),
    _("No scheduler led at that time. The last one was seen at {when}."),
    _("No scheduler led at that time."),
    _("It is due and will be fired in a moment."),
    _("A scheduler led, but no execution is on record: the history may have been deleted."),
    _("Write a datetime such as 2026-03-01T09:00."),
    _("This link is not valid, or is too old."),
    _("This link has been used, or the job was changed since: its end date or team is another now."),
    _("This link is not valid."),
    _("preferences of {name}"),
    _("UI preferences of {name}"),
    _("Slack settings"),
    _(
        "{count} fields found: there are none for seconds and years, as in Quartz. Write five: minute, hour, "
        "day of month, month, day of week."
    ),
    _("Business days (B) need a calendar: choose one, or write L for the last day of the month."),
    _("It never fires: no day of the next {count} years fits."),
    _("The time zone '{name}' is unknown: write such as Asia/Tokyo or Europe/Berlin."),
    _("There is no calendar '{name}'."),
    _("closed day {label} (calendar {name})"),
    _("skipped: {reason}"),
    _("It was skipped: {reason}."),
    _("It moved to {day}: {reason}."),
    _("{where}: '{text}' is no date; write such as 2026-12-31."),
    _("{where}: the year {year} is out of range: 1990 to 2200 are allowed."),
    _("At least one day of the week must be open."),
    _("Write a name for the calendar."),
    _("A calendar has at most {count} days."),
    _("The event '{title}' recurs: write each of its days as an event."),
    _("The event '{title}' is longer than a year."),
    _("The file is no iCalendar file: {reason}."),
    _("The file is no CSV: {reason}."),
    _("The file is larger than {size} KiB."),
    _("A calendar with the name '{name}' or the slug '{slug}' exists: choose another name."),
    _("Jobs use it: {names}. Choose another for them first."),
    _("'{item}' in the {field} field: {reason}"),
    _("{value} is out of range: L- takes 0 to 30 days."),
    _("{value} is out of range: W takes the days 1 to 31."),
    _("{value} is out of range: B takes the business days 1 to {most}."),
    _("{value} is out of range: LB- takes 0 to {most} days."),
    _("{value} is out of range: # takes the weeks 1 to 5."),
    _("'L' alone is not a value of the day of week field: write such as 5L, the last Friday."),
    _("skipped: window {name}"),
    _("held: window {name}"),
    _("skipped: a later fire time is held in its place"),
    _("skipped: this run was to be skipped"),
    _("It will be skipped, as somebody asked."),
    _("It will be held: window {name}."),
    _("It will be skipped: window {name}."),
    _("It is held: window {name}"),
    _("The job is inside the window '{name}': send 'force': true to run it all the same."),
    _("Only who opened the window and admins may end it."),
    _("The window has ended already."),
    _("The window would end before it begins."),
    _("The end has passed already."),
    _("A window over all jobs needs an end, at most 14 days away."),
    _("A window over all jobs lasts at most 14 days; it can be renewed."),
    _("Say which jobs: all of them, or teams, categories, repositories, hosts or jobs."),
    _("All jobs, or some teams, categories, repositories, hosts or jobs: not both."),
    _("'{text}' is none of the {field}: write such as {example}."),
    _(
        'Business calendar "{name}": an update moved national holidays (new: {new}; gone: {gone}). The next '
        "runs of {count} jobs have changed."
    ),
    _(
        "The national holidays of business calendars are certain until {day} only. Update Cronsched, or list "
        "the days of the following year."
    ),
    _("Somebody has changed the job since."),
    _("There is no job with the id or name '{name}'."),
    _("There is no window '{id}'."),
    _("The job has no next run."),
    _("'{field}' must be a datetime such as 2026-12-31T18:00:00+09:00."),
    _("The year must be from {first} to {last}."),
    _("There is no batch '{id}'."),
    _("Only who made the batch and admins may do this."),
    _("Send when it is to run, such as 2026-12-31T18:00:00+09:00."),
    _("This time has passed: choose one to come, or run the job now."),
    _("The job ends on {date}: choose a time before, or set a later end date."),
    _("A token is never stored: let the job use a credential."),
    _("The job has {count} single runs to come already: cancel some."),
    _("There is no single run '{id}' of this job."),
    _("It has started: cancel its execution."),
    _("'{field}' is required, such as 2026-12-31T18:00:00+09:00."),
    _("'to' is before 'from'."),
    _("'which' must be one of {choices}."),
    _("These are more than {count} fire times: choose a shorter period."),
    _("The period has too many fire times: choose a shorter one."),
    _("The schedule cannot be used: {why}"),
    _("No fire time of this period is to be filled."),
    _("The account that asked for the run is gone or disabled."),
    _("missed: no scheduler started it within {seconds} s (misfire policy: skip)"),
    _("not started: {why}"),
    _("It has no fire times: write five fields, such as '0 9 * * 1-5'."),
    _("Say from which date the days are counted, such as 2026-12-04."),
    _("The job had no schedule of its own then: it ran by hand only."),
    _("The time zone data has changed: the next runs of {count} jobs have moved."),
)
# Values that are words themselves.
WORDS = (
    _("weekend"),
    _("closed"),
    _("minute"),
    _("hour"),
    _("day of month"),
    _("month"),
    _("day of week"),
    _("daily digest"),
    _("weekly report"),
    _("remind of failing jobs"),
    _("look at credentials"),
    _("look at holidays"),
    _("none"),
    _("pause ended jobs"),
    _("remind of ending jobs"),
    _("tidy"),
    _("keep the history"),
    _("delete the history of deleted jobs"),
    _("today"),
    _("for this account"),
    _("from this address"),
    _("a link from a reminder"),
    _("an operator"),
    _("skip"),
    _("run_once"),
    _("run_all"),
    _("queue_one"),
    _("allow"),
)
_VALUE = re.compile(r"\\\{(\w+)\\\}")


def said(text: object) -> str:
    """A stored or raised English text in the active language."""
    return _said(str(text or ""), get_language() or "en")


@lru_cache(maxsize=2_000)
def _said(text: str, language: str) -> str:
    if language.startswith("en") or not text:
        return text
    if text in WORDS:
        return gettext(text)
    for template, pattern in _patterns():
        if found := pattern.fullmatch(text):
            values = {name: _said(value, language) for name, value in found.groupdict().items()}
            return gettext(template).format(**values)
    return text


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """The templates as patterns, the most specific ones first."""
    return list(_compiled(sorted(SENTENCES, key=lambda one: -len(_VALUE.sub("", re.escape(one))))))


def _compiled(templates: list[str]) -> Iterator[tuple[str, re.Pattern[str]]]:
    for template in templates:
        yield template, re.compile(_VALUE.sub(r"(?P<\1>.+?)", re.escape(template)), re.DOTALL)
