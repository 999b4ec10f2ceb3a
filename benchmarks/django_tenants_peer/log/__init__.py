"""The peer's tenant tables; its migrations are written by `peer.py`."""
