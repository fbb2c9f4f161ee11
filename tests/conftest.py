"""What tests share: JAX on the CPU, set up before any environment library."""

import os

import hypothesis

# Extras for accelerators may be installed; tests run on the CPU all the same.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from scaling import sharding

sharding.start()

# The first example of a test compiles, which no deadline should punish.
hypothesis.settings.register_profile("compiling", deadline=None)
hypothesis.settings.load_profile("compiling")
