"""Moving in: `/api/v2/imports`."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import ReadOrMayCreateJobs, require_login
from core.api import openapi, payload
from core.api.json import body_of
from core.api.openapi import endpoint, shape
from moving import services
from moving.entries import LARGEST, Proposal, Verdict

# A request must not wait for hundreds of repositories; `manage.py importschedules` does.
_SECONDS = 45.0


class ImportPreviewBody(serializers.Serializer[Any]):
    """Where the schedules are, and what the jobs have in common."""

    source = serializers.ChoiceField([services.GITHUB, *services.READERS])  # type: ignore[assignment]
    text = serializers.CharField(required=False, help_text="The file; for every source but github.")
    github_credential = serializers.CharField(required=False, help_text="Its name; blank for GITHUB_TOKEN.")
    pic_team = serializers.CharField()
    category = serializers.CharField(required=False)
    end_date = serializers.CharField()
    target_url = serializers.CharField(required=False, help_text="For schedules that call no webhook.")
    time_zone = serializers.CharField(required=False, help_text="For schedules that name none, such as Asia/Tokyo.")


class ImportBody(serializers.Serializer[Any]):
    """Jobs as the preview proposes them."""

    jobs = serializers.ListField(child=serializers.DictField())


class ProposalSerializer(openapi.Representation[Proposal]):
    """A job in place of a schedule elsewhere."""

    source = serializers.CharField(help_text="Where the schedule stands.")  # type: ignore[assignment]
    name = serializers.CharField()
    schedule = serializers.CharField(help_text="As it is written there.")
    verdict = serializers.ChoiceField([one.value for one in Verdict])
    reasons = serializers.ListField(child=serializers.CharField(), help_text="What is changed, or why it cannot be.")
    job = serializers.DictField(allow_null=True, help_text="The body that creates it; null where it cannot be.")
    removal = serializers.CharField(allow_null=True, help_text="The lines to remove there, as a patch.")

    def to_representation(self, proposal: Proposal) -> dict[str, Any]:
        return {
            "source": proposal.entry.source,
            "name": proposal.job.get("name", proposal.entry.name),
            "schedule": proposal.entry.schedule,
            "verdict": proposal.verdict.value,
            "reasons": list(proposal.reasons),
            "job": proposal.job or None,
            "removal": proposal.removal or None,
        }


class PreviewView(APIView):
    """Propose jobs for the schedules of another scheduler; nothing is created."""

    permission_classes = (ReadOrMayCreateJobs,)

    @endpoint(
        shape(
            "ImportPreview",
            proposals=ProposalSerializer(many=True),
            unread=serializers.ListField(child=serializers.DictField(), help_text="Repositories that were not read."),
            left=openapi.whole(help_text="Repositories that were not reached in time."),
        ),
        403,
        409,
        body=ImportPreviewBody,
    )
    def post(self, request: Request) -> Response:
        data, by = body_of(request), require_login(request)
        source = payload.text(data.get("source"), "source", limit=40)
        if source == services.GITHUB:
            name = payload.text(data.get("github_credential"), "github_credential", limit=100)
            found = services.propose_github(name, data, by=by, seconds=_SECONDS)
        else:
            text = payload.text(data.get("text"), "text", limit=LARGEST)
            found = services.propose_file(source, text, data, by=by)
        return Response(
            {
                "proposals": ProposalSerializer.of_all(found.proposals),
                "unread": [{"repository": name, "reason": reason} for name, reason in found.unread],
                "left": found.left,
            }
        )


class CreateView(APIView):
    """Create proposed jobs, all or none of them, disabled."""

    permission_classes = (ReadOrMayCreateJobs,)

    @endpoint(
        shape("ImportedJobs", message=openapi.text(), job_ids=serializers.ListField(child=serializers.CharField())),
        403,
        409,
        body=ImportBody,
        status=201,
    )
    def post(self, request: Request) -> Response:
        jobs = services.create(body_of(request).get("jobs"), by=require_login(request))
        return Response(
            {"message": f"{len(jobs)} jobs created, disabled", "job_ids": [str(job.pk) for job in jobs]}, status=201
        )
