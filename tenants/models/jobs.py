"""How far the modules' jobs have come."""

from django.db import models


class JobPass(models.Model):
    """The last pass of a job over its tenants, or the one that is under way.

    name: `<module>.<job>`. holder: which runner works at it now, until the lease ends unless it is
    renewed. position: the last tenant that was seen to; passes go by tenants' ids.
    total: tenants there were when the pass began. done, failed: tenants seen to, and those of them
    for which the job failed. dealt_with: things that the job has dealt with, in its own measure.
    """

    name = models.CharField(max_length=100, primary_key=True)
    holder = models.UUIDField(null=True)
    held_until = models.DateTimeField(null=True)
    position = models.UUIDField()
    total = models.IntegerField(default=0)
    done = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    dealt_with = models.BigIntegerField(default=0)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
