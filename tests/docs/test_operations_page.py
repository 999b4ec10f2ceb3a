"""The page about running it names every job, and a setting for the period of each."""

import re

from conversations.settings import ConversationsSettings
from project.dev.settings import ROOT
from tenants.jobs.work import list_jobs

PAGE = (ROOT / "docs" / "operations.md").read_text()


def test_every_job_is_named_and_has_a_setting() -> None:
    named = re.findall(r"^\| `(conversations\.\w+)` \|", PAGE, re.MULTILINE)
    jobs = [each.job for each in list_jobs() if each.module == "conversations"]

    assert named == [f"conversations.{job.name}" for job in jobs]
    for job in jobs:
        setting = ConversationsSettings.model_fields[f"{job.name}_every_seconds"]
        assert setting.default == job.every_seconds
