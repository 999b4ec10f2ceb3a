"""Rollouts: revisions carried to every tenant, resumably, with a ledger.

`manage.py rollout`, the management API and the admin call these functions.
"""

from tenants.rollouts.background import Conduct, carry_in_background, interrupt_all
from tenants.rollouts.conduct import (
    plan_rollout,
    rehearse_rollout,
    resume_rollout,
    retry_rollout,
    start_rollout,
)
from tenants.rollouts.events import (
    Checked,
    Ended,
    Event,
    Planned,
    Postponed,
    Staged,
    Tried,
    Waiting,
    Watcher,
)
from tenants.rollouts.ledger import (
    RESUMABLE,
    Attempt,
    LeaseLost,
    cancel_rollout,
    get_rollout,
    list_attempts,
    list_rollouts,
    show_rollout_id,
)
from tenants.rollouts.options import Options, Scope
from tenants.rollouts.plan import Plan, Stray, Work, choose_targets

__all__ = [
    "RESUMABLE",
    "Attempt",
    "Checked",
    "Conduct",
    "Ended",
    "Event",
    "LeaseLost",
    "Options",
    "Plan",
    "Planned",
    "Postponed",
    "Scope",
    "Staged",
    "Stray",
    "Tried",
    "Waiting",
    "Watcher",
    "Work",
    "cancel_rollout",
    "carry_in_background",
    "choose_targets",
    "get_rollout",
    "interrupt_all",
    "list_attempts",
    "list_rollouts",
    "plan_rollout",
    "rehearse_rollout",
    "resume_rollout",
    "retry_rollout",
    "show_rollout_id",
    "start_rollout",
]
