"""Categories and PIC teams: `/api/v2/job-categories` and `/api/v2/pic-teams`."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import ReadOrAdmin, require_login
from core.api import openapi, payload
from core.api.json import body_of
from core.api.openapi import endpoint, param, shape
from core.api.timestamps import utc_ms
from taxonomy import services
from taxonomy.models import Category, Label, PicTeam


class CategorySerializer(openapi.Representation[Label]):
    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    is_active = serializers.BooleanField()
    created_at = openapi.timestamp()
    updated_at = openapi.timestamp()

    def to_representation(self, label: Label) -> dict[str, Any]:
        return {
            "id": str(label.id),
            "slug": label.slug,
            "name": label.name,
            "is_active": label.is_active,
            "created_at": utc_ms(label.created_at),
            "updated_at": utc_ms(label.updated_at),
        }


class PicTeamSerializer(CategorySerializer):
    slack_handle = serializers.CharField()

    def to_representation(self, label: Label) -> dict[str, Any]:
        assert isinstance(label, PicTeam)
        return {**super().to_representation(label), "slack_handle": label.slack_handle}


@openapi.example("A category", name="Smoke tests")
class CategoryBody(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    slug = serializers.CharField(max_length=100, required=False)


@openapi.example("A team", name="QA Team", slack_handle="@qa-team")
class PicTeamBody(CategoryBody):
    slack_handle = serializers.CharField(max_length=100)


class CategoryChanges(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, required=False)
    is_active = serializers.BooleanField(required=False)


class PicTeamChanges(CategoryChanges):
    slack_handle = serializers.CharField(max_length=100, required=False)


class LabelsView(APIView):
    """List and create labels; subclasses set the model."""

    permission_classes = (ReadOrAdmin,)
    kind: ClassVar[Any]
    serializer: ClassVar[type[CategorySerializer]]
    noun: ClassVar[str]
    key: ClassVar[str]
    list_key: ClassVar[str]

    def get(self, request: Request) -> Response:
        labels = self.kind.objects.by_name()
        wanted = payload.query_flag(request.query_params, "include_inactive")
        if not (wanted and require_login(request).is_admin):
            labels = labels.filter(is_active=True)
        return Response({self.list_key: self.serializer.of_all(labels)})

    def post(self, request: Request) -> Response:
        label = services.create(self.kind, body_of(request))
        return Response(
            {"message": f"{self.noun} created", self.key: self.serializer.of(label)}, status.HTTP_201_CREATED
        )


class LabelView(LabelsView):
    """Change and disable one label."""

    http_method_names = ("put", "delete", "options")

    def put(self, request: Request, label_id: str) -> Response:
        label, jobs_updated = services.update(self.kind, label_id, body_of(request))
        return Response(
            {
                "message": f"{self.noun} updated",
                self.key: self.serializer.of(label),
                "jobs_updated": jobs_updated,
                "active_jobs": services.jobs_that_go_on(label),
            }
        )

    def delete(self, request: Request, label_id: str) -> Response:
        label = services.disable(self.kind, label_id)
        return Response(
            {
                "message": f"{self.noun} disabled",
                self.key: self.serializer.of(label),
                "active_jobs": services.jobs_that_go_on(label),
            }
        )


_GO_ON = openapi.whole(
    help_text="Enabled jobs of a label that is disabled: they go on. `POST /windows` over it pauses them."
)
_INACTIVE = [param("include_inactive", "Also the disabled ones (admins only).")]
_CATEGORY = {"message": openapi.text(), "category": CategorySerializer()}
_CATEGORY_ANSWER = shape("CategoryAnswer", **_CATEGORY)
_CATEGORY_UPDATED = shape("CategoryUpdated", **_CATEGORY, jobs_updated=openapi.whole(), active_jobs=_GO_ON)
_TEAM = {"message": openapi.text(), "pic_team": PicTeamSerializer()}
_TEAM_ANSWER = shape("PicTeamAnswer", **_TEAM)

_TEAM_UPDATED = shape("PicTeamUpdated", **_TEAM, jobs_updated=openapi.whole(), active_jobs=_GO_ON)


class _Category:
    kind: ClassVar[Any] = Category
    serializer: ClassVar[type[CategorySerializer]] = CategorySerializer
    noun = "Category"
    key = "category"
    list_key = "categories"


class _PicTeam:
    kind: ClassVar[Any] = PicTeam
    serializer: ClassVar[type[CategorySerializer]] = PicTeamSerializer
    noun = "PIC team"
    key = "pic_team"
    list_key = "pic_teams"


class CategoriesView(_Category, LabelsView):
    """Categories of jobs."""

    @endpoint(shape("CategoryList", categories=CategorySerializer(many=True)), query=_INACTIVE)
    def get(self, request: Request) -> Response:
        return super().get(request)

    @endpoint(_CATEGORY_ANSWER, 403, 409, status=201, body=CategoryBody)
    def post(self, request: Request) -> Response:
        return super().post(request)


class CategoryView(_Category, LabelView):
    """One category."""

    @endpoint(_CATEGORY_UPDATED, 403, 404, 409, body=CategoryChanges)
    def put(self, request: Request, label_id: str) -> Response:
        return super().put(request, label_id)

    @endpoint(shape("CategoryDisabled", **_CATEGORY, active_jobs=_GO_ON), 403, 404)
    def delete(self, request: Request, label_id: str) -> Response:
        return super().delete(request, label_id)


class PicTeamsView(_PicTeam, LabelsView):
    """PIC teams."""

    @endpoint(shape("PicTeamList", pic_teams=PicTeamSerializer(many=True)), query=_INACTIVE)
    def get(self, request: Request) -> Response:
        return super().get(request)

    @endpoint(_TEAM_ANSWER, 403, 409, status=201, body=PicTeamBody)
    def post(self, request: Request) -> Response:
        return super().post(request)


class PicTeamView(_PicTeam, LabelView):
    """One PIC team."""

    @endpoint(_TEAM_UPDATED, 403, 404, 409, body=PicTeamChanges)
    def put(self, request: Request, label_id: str) -> Response:
        return super().put(request, label_id)

    @endpoint(shape("PicTeamDisabled", **_TEAM, active_jobs=_GO_ON), 403, 404)
    def delete(self, request: Request, label_id: str) -> Response:
        return super().delete(request, label_id)
