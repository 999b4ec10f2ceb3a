# Made by generate_sync.py from the file of this name in `_async`.
"""The client, made from `_async`."""
