"""What modules do for each tenant from time to time, beside the requests.

A server process runs the jobs of its modules (`runner`), a slice of the tenants at a time, each
slice under a lease (`passes`), so that one process at a time works at a job. `run_jobs` runs them
for once, on the command line.
"""

from tenants.jobs.once import Report, run_jobs
from tenants.jobs.runner import keep_running_jobs

__all__ = ["Report", "keep_running_jobs", "run_jobs"]
