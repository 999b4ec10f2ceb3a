"""Imports: a body is read into drafts, one for each conversation, and each is carried by itself.

Whatever the source, ids are derived from the tenant and from what names a thing there. So an
import that is repeated finds what is there already, and one that was cut goes on.
"""

from conversations.service.imports.carry import carry, link_branches
from conversations.service.imports.drafts import Branch, Draft, Refused
from conversations.service.imports.reading import read_drafts
from conversations.service.imports.report import Report

__all__ = ["Branch", "Draft", "Refused", "Report", "carry", "link_branches", "read_drafts"]
