"""Stored steps, and the window of searched steps the learner draws from."""
