"""Environments: device (JAX) and host (Python), behind one interface."""
