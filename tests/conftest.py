"""What tests share: JAX on the CPU, set up before any environment library."""

import hypothesis

from scaling import sharding

sharding.start()

# The first example of a test compiles, which no deadline should punish.
hypothesis.settings.register_profile("compiling", deadline=None)
hypothesis.settings.load_profile("compiling")
