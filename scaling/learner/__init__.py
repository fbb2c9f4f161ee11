"""Targets, losses and the update."""
