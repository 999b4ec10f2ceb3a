"""Rollouts: who is behind, and carrying them on; watched, cancelled, resumed, retried.

What changes the fleet goes on in this process after it was answered.
"""

from functools import partial
from uuid import UUID

from django.http import HttpResponse
from ninja import Query, Router

from tenants import rollouts, shapes
from tenants.admin_api.auth import AdminAuth, AdminRequest
from tenants.admin_api.inputs import (
    AttemptQuery,
    NewRollout,
    PageQuery,
    PlanQuery,
    RolloutOptions,
)
from tenants.admin_api.pages import answer_page
from tenants.db.pagination import Page
from tenants.keys import OperatorScope
from tenants.responses import json_response
from tenants.rollouts import Conduct, Options, Scope, choose_targets

router = Router(tags=["Rollouts"])
READ = AdminAuth(OperatorScope.READ)
WRITE = AdminAuth(OperatorScope.WRITE)


@router.get("/rollouts/plan", auth=READ, response=shapes.ShownPlan)
async def plan_rollout(request: AdminRequest, query: Query[PlanQuery]) -> HttpResponse:
    """See who is behind the newest revisions. Nothing is changed."""
    plan = await rollouts.plan_rollout(Scope(query.tenant, query.module))
    return json_response(shapes.show_plan(plan))


@router.post("/rollouts", auth=WRITE, response={202: shapes.ShownRollout})
async def start_rollout(request: AdminRequest, new: NewRollout) -> HttpResponse:
    """Carry tenants to the newest revisions, or to `targets`, which takes the scope `erase` too."""
    if new.targets:  # The way back takes tables and columns away, with all that is in them.
        request.auth.require(OperatorScope.ERASE)
    scope = Scope(new.tenants, new.modules, new.targets)
    options = Options(**new.model_dump(include=set(RolloutOptions.model_fields)))
    return await _begin(partial(rollouts.start_rollout, scope, options, by=request.auth.actor))


@router.get("/rollouts", auth=READ, response=Page[shapes.ShownRollout])
async def list_rollouts(request: AdminRequest, query: Query[PageQuery]) -> HttpResponse:
    """List rollouts, the newest first."""
    return await answer_page(
        ["rollouts"], query, rollouts.list_rollouts, shapes.show_rollout, ("id", UUID)
    )


@router.get("/rollouts/{rollout}", auth=READ, response=shapes.ShownRollout)
async def get_rollout(request: AdminRequest, rollout: str) -> HttpResponse:
    """Get a rollout, as it is half a second ago at the most."""
    return json_response(shapes.show_rollout(await rollouts.get_rollout(rollout)))


@router.get("/rollouts/{rollout}/attempts", auth=READ, response=Page[shapes.ShownAttempt])
async def list_attempts(
    request: AdminRequest, rollout: str, query: Query[AttemptQuery]
) -> HttpResponse:
    """List how it went for each tenant, in the order in which they were done."""
    listing = ["attempts", rollout, query.succeeded]
    fetch = partial(rollouts.list_attempts, rollout, succeeded=query.succeeded)
    return await answer_page(listing, query, fetch, shapes.show_attempt, ("id", int))


@router.post("/rollouts/{rollout}/cancel", auth=WRITE, response=shapes.ShownRollout)
async def cancel_rollout(request: AdminRequest, rollout: str) -> HttpResponse:
    """Stop a rollout, wherever it runs, as soon as the schemas under way are done."""
    cancelled = await rollouts.cancel_rollout(rollout, by=request.auth.actor)
    return json_response(shapes.show_rollout(cancelled))


@router.post("/rollouts/{rollout}/resume", auth=WRITE, response={202: shapes.ShownRollout})
async def resume_rollout(request: AdminRequest, rollout: str) -> HttpResponse:
    """Carry on a rollout that has stopped, past those that have failed."""
    await _require_for_targets(request, rollout)
    return await _begin(partial(rollouts.resume_rollout, rollout, by=request.auth.actor))


@router.post("/rollouts/{rollout}/retry", auth=WRITE, response={202: shapes.ShownRollout})
async def retry_rollout(request: AdminRequest, rollout: str) -> HttpResponse:
    """Try those again that have failed in a rollout, and no others."""
    await _require_for_targets(request, rollout)
    return await _begin(partial(rollouts.retry_rollout, rollout, by=request.auth.actor))


async def _require_for_targets(request: AdminRequest, reference: str) -> None:
    """What it takes to begin a rollout takes going on with it."""
    rollout = await rollouts.get_rollout(reference)
    if rollout.targets != choose_targets(rollout.targets, None):
        request.auth.require(OperatorScope.ERASE)


async def _begin(conduct: Conduct) -> HttpResponse:
    begun = await rollouts.carry_in_background(conduct)
    return json_response(shapes.show_rollout(begun), 202)
