"""Jobs in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect

from contract.admin import ReadOnlyAdmin
from contract.errors import DomainError
from jobs import services
from jobs.models import ChangeRecord, Job, Revision


class JobForm(forms.ModelForm[Job]):
    """Validates with the same rules as the API."""

    class Meta:
        model = Job
        fields = (
            "name",
            "cron_expression",
            "target_url",
            "github_owner",
            "github_repo",
            "github_workflow_name",
            "metadata",
            "end_date",
            "pic_team",
            "category",
            "start_date",
            "misfire_policy",
            "misfire_grace_seconds",
            "overlap_policy",
            "timeout_seconds",
            "connect_timeout_seconds",
            "max_attempts",
            "retry_backoff_seconds",
            "retry_deadline_seconds",
            "retry_on",
            "jitter_seconds",
            "enable_email_notifications",
            "notification_emails",
            "notify_on_success",
            "is_active",
        )

    def payload(self) -> dict[str, Any]:
        """The form as the API's body."""
        data = dict(self.cleaned_data)
        data["category"], data["pic_team"] = data["category"].slug, data["pic_team"].slug
        data["end_date"] = data["end_date"].isoformat()
        data["start_date"] = data["start_date"].isoformat() if data["start_date"] else None
        return data

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        try:
            if self.instance._state.adding:
                values = services.clean_new(self.payload())
            else:
                values = services.clean_changes(services.get_job(self.instance.pk), self.payload())
        except DomainError as exc:
            for name, texts in (exc.fields or {"": [exc.message]}).items():
                self.add_error(name if name in self.fields else None, texts)
            return data
        return {**data, **values}


@admin.register(Job)
class JobAdmin(admin.ModelAdmin[Job]):
    """Jobs with their next run and last outcome. Changes go through `jobs.services`, like the API's."""

    form = JobForm
    list_display = (
        "name",
        "is_active",
        "cron_expression",
        "next_run",
        "last_outcome",
        "last_execution_at",
        "pic_team",
        "category",
        "end_date",
    )
    list_filter = ("is_active", "last_status", "pic_team", "category", "end_date")
    search_fields = ("name", "target_url", "github_repo", "github_workflow_name", "pic_team__name")
    list_select_related = ("pic_team", "category")
    readonly_fields = (
        "next_run_at",
        "problem",
        "last_execution_at",
        "last_status",
        "created_by",
        "created_at",
        "updated_at",
    )
    autocomplete_fields = ("pic_team", "category")
    actions: Any = ["enable", "disable"]
    list_per_page = 50
    fieldsets = (
        ("What", {"fields": ("name", "category", "pic_team", "is_active")}),
        ("When", {"fields": ("cron_expression", ("start_date", "end_date"), "jitter_seconds")}),
        (
            "Where to",
            {
                "fields": ("target_url", ("github_owner", "github_repo", "github_workflow_name"), "metadata"),
                "description": "A webhook URL, or the three GitHub fields. A URL given decides.",
            },
        ),
        (
            "If it is late, overlaps or fails",
            {
                "classes": ("collapse",),
                "fields": (
                    ("misfire_policy", "misfire_grace_seconds"),
                    "overlap_policy",
                    ("timeout_seconds", "connect_timeout_seconds"),
                    ("max_attempts", "retry_backoff_seconds", "retry_deadline_seconds"),
                    "retry_on",
                ),
            },
        ),
        ("Mail", {"fields": ("enable_email_notifications", "notification_emails", "notify_on_success")}),
        (
            "Record",
            {
                "fields": (
                    "next_run_at",
                    "problem",
                    "last_execution_at",
                    "last_status",
                    "created_by",
                    "created_at",
                    "updated_at",
                )
            },
        ),
    )

    @admin.display(description="next run", ordering="next_run_at", empty_value="—")
    def next_run(self, job: Job) -> Any:
        return job.next_run_at

    @admin.display(description="last outcome", ordering="last_status", empty_value="—")
    def last_outcome(self, job: Job) -> str | None:
        return job.last_status or None

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """What is refused in the last moment, such as a name taken meanwhile, is told on the form's page."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except DomainError as exc:
            self.message_user(request, exc.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Job, form: Any, change: bool) -> None:
        user: Any = request.user
        if change:
            saved = services.update_job(obj.pk, form.payload(), by=user)
        else:
            saved = services.create_job(form.payload(), by=user)
        obj.__dict__.update(saved.__dict__)

    def delete_model(self, request: HttpRequest, obj: Job) -> None:
        services.remove_jobs([obj], by=request.user)  # type: ignore[arg-type]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        services.remove_jobs(queryset, by=request.user)  # type: ignore[arg-type]

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._set_active(request, queryset, True)

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._set_active(request, queryset, False)

    def _set_active(self, request: HttpRequest, queryset: QuerySet[Job], active: bool) -> None:
        done = 0
        for job in queryset.exclude(is_active=active):
            try:
                services.set_active(job, active, by=request.user)  # type: ignore[arg-type]
                done += 1
            except DomainError as exc:
                self.message_user(request, f"{job.name}: {exc.message}", messages.ERROR)
        self.message_user(request, f"{done} {'enabled' if active else 'disabled'}.")


@admin.register(ChangeRecord)
class ChangeRecordAdmin(ReadOnlyAdmin):
    """Who did what to which job."""

    list_display = ("at", "job_name", "kind", "by_email", "difference")
    list_filter = ("kind", "at")
    search_fields = ("job_name", "by_email")
    show_full_result_count = False


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    list_display = ("number",)
