"""Rollouts: the list, the page of each, and what can be done with one.

What is begun here goes on in this process after the page was answered.
"""

from functools import partial
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from tenants.actor import Actor
from tenants.admin.acting import acting
from tenants.admin.rollout_form import carry_fleet
from tenants.admin.rollout_page import STATUS_LABELS, Progress, gather
from tenants.admin.rows import RegistryAdmin, show_time
from tenants.errors import ApplicationError
from tenants.models import Rollout
from tenants.rollouts import (
    cancel_rollout,
    carry_in_background,
    get_rollout,
    list_rollouts,
    resume_rollout,
    retry_rollout,
    show_rollout_id,
)

# What is said when it was done.
VERBS = {
    "cancel": "Cancelled. What is under way is done first.",
    "resume": "It goes on.",
    "retry": "Those that failed are tried again.",
}


@admin.register(Rollout)
class RolloutAdmin(RegistryAdmin):
    list_display = ("started", "state", "shown_targets", "progress", "who", "ended")
    ordering = ("-id",)
    actions_list = ("carry",)
    show_add_link = False  # It says what it does, instead.

    @admin.display(description="started (UTC)")
    def started(self, rollout: Rollout) -> SafeString | None:
        return show_time(rollout.started_at)

    @display(description="status", label=STATUS_LABELS)
    def state(self, rollout: Rollout) -> str:
        return rollout.status

    @admin.display(description="to")
    def shown_targets(self, rollout: Rollout) -> SafeString:
        context = {"revisions": rollout.targets}
        return render_to_string("admin/tenants/revisions.html", context)

    @admin.display(description="progress")
    def progress(self, rollout: Rollout) -> SafeString:
        context = {"progress": Progress(rollout)}
        return render_to_string("admin/tenants/rollout_bar.html", context)

    @admin.display(description="ended (UTC)")
    def ended(self, rollout: Rollout) -> SafeString | None:
        return show_time(rollout.finished_at)

    @admin.display(description="by")
    def who(self, rollout: Rollout) -> str:
        return rollout.started_by

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path(
                "<uuid:rollout_id>/progress/",
                guard(self.progress_view),
                name="tenants_rollout_progress",
            ),
            path(
                "<uuid:rollout_id>/do/<slug:verb>/",
                guard(self.verb_view),
                name="tenants_rollout_do",
            ),
            *super().get_urls(),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "add")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return carry_fleet(request)

    @action(
        description="Carry the fleet",
        permissions=["add"],
        url_path="carry",
        icon="rocket_launch",
        variant=ActionVariant.PRIMARY,
    )
    def carry(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:tenants_rollout_add"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        async_to_sync(list_rollouts)(limit=1)  # It notices whose runner has died.
        answer: HttpResponse = super().changelist_view(request, extra_context)
        return answer

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        rollout = self._find(request, object_id)
        if rollout is None:
            return self._say_missing(request, object_id)
        context = {
            **self.admin_site.each_context(request),
            **gather(request, rollout),
            "title": f"{rollout.started_at:%Y-%m-%d %H:%M}",
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/tenants/rollout.html", context)

    def progress_view(self, request: HttpRequest, rollout_id: UUID) -> HttpResponse:
        """The part of the page that changes while the rollout runs."""
        rollout = self._find(request, str(rollout_id))
        if rollout is None:
            raise Http404
        context = {"rollout": rollout, "progress": Progress(rollout)}
        return TemplateResponse(request, "admin/tenants/rollout_progress.html", context)

    def verb_view(self, request: HttpRequest, rollout_id: UUID, verb: str) -> HttpResponse:
        """Do what a button of the rollout's page says."""
        if verb not in VERBS:
            raise Http404
        if not self.may(request, "change"):
            raise PermissionDenied
        rollout = self._find(request, str(rollout_id))
        if rollout is None:
            return self._say_missing(request, str(rollout_id))
        if request.method == "POST":  # Else after signing in again, or by a bookmark.
            try:
                _do(verb, show_rollout_id(rollout.pk), acting(request))
            except ApplicationError as error:
                self.message_user(request, error.detail, messages.ERROR)
            else:
                self.message_user(request, VERBS[verb], messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:tenants_rollout_change", args=[rollout.pk]))

    def _find(self, request: HttpRequest, object_id: str) -> Rollout | None:
        """The rollout as it is now, which its row says only while its runner lives."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id)
        return async_to_sync(get_rollout)(show_rollout_id(row.pk)) if row else None

    def _say_missing(self, request: HttpRequest, object_id: str) -> HttpResponse:
        answer: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        return answer


def _do(verb: str, reference: str, by: Actor) -> None:
    if verb == "cancel":
        async_to_sync(cancel_rollout)(reference, by=by)
    else:
        conduct = resume_rollout if verb == "resume" else retry_rollout
        async_to_sync(carry_in_background)(partial(conduct, reference, by=by))
