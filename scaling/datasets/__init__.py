"""Recorded episodes: the project's own lossless store, and what is imported into it."""
