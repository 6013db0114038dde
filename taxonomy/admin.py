"""Categories and PIC teams in the admin."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from core import page_links
from core.admin import ProductAdmin, act_button
from taxonomy.models import GENERAL, Category, Label, PicTeam, slug_of

# In the session: the labels that were disabled last, and what the last action changed, with when.
_DISABLED, _CHANGED = "disabled_labels", "changed_labels"


class LabelForm(forms.ModelForm[Any]):
    """A new name changes the slug; the category General cannot be changed."""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        label, name = self.instance, data.get("name", "")
        if label.slug == GENERAL and isinstance(label, Category):
            if not data.get("is_active", True) or name != label.name:
                raise ValidationError(_("The category General can be neither renamed nor disabled."))
            return data
        slug = (slug_of(data.get("slug") or name) or self._numbered()) if label._state.adding else self._renamed(name)
        if type(label)._default_manager.filter(slug=slug).exclude(pk=label.pk).exists():
            raise ValidationError({"name": _("The slug '%(slug)s' is taken: choose another name.") % {"slug": slug}})
        label.slug = data["slug"] = slug
        return data

    def _renamed(self, name: str) -> str:
        """The slug of a new name; a name without letters a-z and digits keeps the one before."""
        return (slug_of(name) if "name" in self.changed_data else "") or str(self.instance.slug)

    def _numbered(self) -> str:
        """A slug for a name without letters a-z and digits, such as 請求処理."""
        kind = type(self.instance)
        word = "category" if kind is Category else "team"
        taken = set(kind._default_manager.filter(slug__startswith=f"{word}-").values_list("slug", flat=True))
        return next(slug for number in count(1) if (slug := f"{word}-{number}") not in taken)


class LabelAdmin(ProductAdmin):
    """Labels are disabled instead of deleted, because jobs keep their label."""

    form = LabelForm
    list_display = ["name", "slug", "is_active", "job_count", "updated_at", "pause_link"]
    list_filter = ("is_active",)
    search_fields = ["name", "slug"]
    readonly_fields = ("created_at", "updated_at")
    actions = ("enable", "disable")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        labels: QuerySet[Any] = super().get_queryset(request).annotate(_jobs=Count("jobs"))
        return labels

    def get_list_display(self, request: HttpRequest) -> list[str]:
        may = self.has_change_permission(request)
        return [name for name in self.list_display if may or name != "pause_link"]

    def get_readonly_fields(self, request: HttpRequest, obj: Label | None = None) -> Any:
        return (*self.readonly_fields, "slug") if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Label | None = None) -> bool:
        return False

    @admin.display(description=gettext_lazy("jobs"), ordering="_jobs")
    def job_count(self, label: Any) -> str:
        """The number of jobs with this label, with a link to them."""
        field = "category" if isinstance(label, Category) else "pic_team"
        url = page_links.path_of("job_list", **{f"{field}__id__exact": label.pk})
        return format_html('<a href="{}">{}</a>', url, label._jobs)

    @admin.display(description="")
    def pause_link(self, label: Any) -> str:
        """Pauses its jobs by one click, or opens the form of a window over them."""
        over = "category" if self.model is Category else "team"
        now = page_links.path_of("pause_now", over, label.pk)
        return format_html(
            '{} <a class="cs-button cs-small" href="{}">{}</a>',
            act_button(now, _("Pause until tomorrow"), name="for", value="morning"),
            self._pause_path(label),
            _("Pause …"),
        )

    def _pause_path(self, *labels: Label) -> str:
        field = "categories" if self.model is Category else "teams"
        named = ", ".join(label.name for label in labels)
        ids = ",".join(str(label.pk) for label in labels)
        return page_links.path_of("pause", name=f"Pause: {named}"[:100], **{field: ids})

    @admin.action(description=gettext_lazy("Enable"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        labels = self._set_active(queryset, active=True)
        self._tell(request, _("%(count)d enabled.") % {"count": len(labels)}, labels)

    @admin.action(description=gettext_lazy("Disable"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponseRedirect | None:
        changed = queryset.exclude(slug=GENERAL) if self.model is Category else queryset
        labels = self._set_active(changed, active=False)
        self._tell(request, _("%(count)d disabled.") % {"count": len(labels)}, labels)
        return self._question(request, labels)

    def _tell(self, request: HttpRequest, words: str, changed: Sequence[Label]) -> None:
        """A message with a button that takes the change back."""
        request.session[_CHANGED] = [[str(label.pk), label.updated_at.isoformat()] for label in changed]
        button = act_button(reverse(self._address("undo")), _("Undo")) if changed else ""
        self.message_user(request, format_html("{} {}", words, button))

    def undo(self, request: HttpRequest) -> HttpResponse:
        """Enable or disable what the last action changed, but for what was changed since."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        changed = dict(request.session.pop(_CHANGED, []))
        labels = self.model._default_manager.filter(pk__in=changed)
        back = [label for label in labels if label.updated_at.isoformat() == changed[str(label.pk)]]
        for label in back:
            self._save_active(label, not label.is_active)
        told = {"count": len(back)}
        words = ngettext("%(count)d is as before.", "%(count)d are as before.", len(back)) % told
        if stay := len(changed) - len(back):
            told = {"count": stay}
            stays = ngettext("%(count)d was changed since and stays.", "%(count)d were changed since and stay.", stay)
            words += " " + stays % told
        self.message_user(request, words, messages.SUCCESS if back else messages.WARNING)
        return HttpResponseRedirect(reverse(self._address("changelist")))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        obj.was_disabled = change and "is_active" in form.changed_data and not obj.is_active

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        answer: HttpResponse = super().response_change(request, obj)
        return (self._question(request, [obj]) if obj.was_disabled else None) or answer

    def _question(self, request: HttpRequest, labels: Sequence[Label]) -> HttpResponseRedirect | None:
        """To the question what becomes of the jobs of disabled labels; None if they have none that is active."""
        if not self._active_jobs(labels):
            return None
        request.session[_DISABLED] = [str(label.pk) for label in labels]
        return HttpResponseRedirect(reverse(self._address("jobs")))

    def _active_jobs(self, labels: Sequence[Label]) -> int:
        found = self.model._default_manager.filter(pk__in=[one.pk for one in labels], jobs__is_active=True)
        return int(found.count())

    def _address(self, page: str) -> str:
        return f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}"

    def get_urls(self) -> list[Any]:
        pages = (("jobs", self.ask_about_jobs), ("undo", self.undo))
        own = [
            path(f"{name}/", self.admin_site.admin_view(view), name=self._address(name).removeprefix("admin:"))
            for name, view in pages
        ]
        return [*own, *super().get_urls()]

    def ask_about_jobs(self, request: HttpRequest) -> HttpResponse:
        """Ask what becomes of the jobs of labels that were disabled: disabling leaves them as they are."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        ids = request.session.get(_DISABLED, [])
        labels = list(self.model._default_manager.filter(pk__in=ids, is_active=False))
        back = reverse(self._address("changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Jobs of what you disabled"),
            "crumbs": [{"title": capfirst(self.opts.verbose_name_plural), "url": back}],
            "labels": labels,
            "jobs": self._active_jobs(labels),
            "pause": self._pause_path(*labels),
            "back": back,
        }
        return TemplateResponse(request, "taxonomy/jobs_of_disabled.html", context)

    def _set_active(self, labels: QuerySet[Any], *, active: bool) -> list[Any]:
        """The labels that it changed, one by one, so that the audit trail records each."""
        changed = list(labels.exclude(is_active=active))
        for label in changed:
            self._save_active(label, active)
        return changed

    def _save_active(self, label: Any, active: bool) -> None:
        label.is_active = active
        label.save(update_fields=["is_active", "updated_at"])


@admin.register(Category)
class CategoryAdmin(LabelAdmin):
    purpose = gettext_lazy("A category says what jobs are for.")


@admin.register(PicTeam)
class PicTeamAdmin(LabelAdmin):
    purpose = gettext_lazy("A team is in charge of jobs, and hears of their failures.")
    list_display = ["name", "slug", "slack_handle", "is_active", "job_count", "updated_at", "pause_link"]
    search_fields = ["name", "slug", "slack_handle"]
