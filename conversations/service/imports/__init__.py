"""Imports: a body is read into drafts, one for each conversation, and each is carried by itself.

Whatever the source, ids are derived from the tenant and from what names a thing there. So an
import that is repeated finds what is there already, and one that was cut goes on.
"""

from conversations.service.imports.framing import split_body
from conversations.service.imports.running import import_file, import_records

__all__ = ["import_file", "import_records", "split_body"]
