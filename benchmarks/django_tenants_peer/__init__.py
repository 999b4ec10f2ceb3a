"""A project on django-tenants, as a peer: the same tables, made and migrated its way.

It runs in a process of its own, with Django settings of its own, on a database of its own beside
ours. `peer.py` is what a benchmark uses; `__main__.py` is that process.
"""
