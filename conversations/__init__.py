"""Conversations, their messages and tool calls: the first module, and the pattern for others."""
