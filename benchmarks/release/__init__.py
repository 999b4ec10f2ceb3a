"""A release to carry to a fleet: a module whose last revision adds a column to `messages`."""
