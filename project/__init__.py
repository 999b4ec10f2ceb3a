"""Composition: settings, entry points and development tools. Alone in knowing all modules."""
