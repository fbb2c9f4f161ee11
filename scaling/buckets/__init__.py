"""Directories in buckets: a copy here while a command works, and back again."""
