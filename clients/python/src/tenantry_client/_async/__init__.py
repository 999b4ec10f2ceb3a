"""The client, asynchronous: what `_sync` is made from."""
