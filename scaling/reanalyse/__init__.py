"""Lanes of the search batch: fresh ones step, stored ones replay."""
