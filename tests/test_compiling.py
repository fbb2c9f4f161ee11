"""Compiling for a mesh, and what a compiler refuses."""

import jax
import jax.numpy as jnp
import pytest

from scaling import compiling, lowering


def test_memory_counts_what_is_there_and_what_is_added():
    numbers = jax.ShapeDtypeStruct((100,), jnp.float32)
    function = jax.jit(lambda read, unread: read[::-1] + 1)
    program = lowering.Program("f", function, (numbers, numbers), (numbers,))
    memory = compiling.compile_program(program).memory
    # The compiler counts only what is read; the rest is there all the same.
    assert (memory.arguments, memory.beside, memory.outputs) == (400, 800, 400)
    added = memory.outputs - memory.aliased + memory.temporaries + memory.code
    assert memory.total == 1200 + added


def test_what_is_given_away_is_counted_once():
    numbers = jax.ShapeDtypeStruct((100,), jnp.float32)
    function = jax.jit(lambda x: x + 1, donate_argnums=0)
    memory = compiling.compile_program(
        lowering.Program("f", function, (numbers,), ())
    ).memory
    assert memory.aliased == 400
    assert memory.total == 400 + memory.temporaries + memory.code


def test_compilers_refusals_are_told_apart():
    class Refuses:
        def __init__(self, message):
            self.message = message

        def trace(self, *arguments):
            return self

        def lower(self, lowering_platforms):
            return self

        def compile(self):
            raise jax.errors.JaxRuntimeError(self.message)

    full = lowering.Program("f", Refuses("RESOURCE_EXHAUSTED: 9G of 8G.\nmore"), (), ())
    with pytest.raises(
        compiling.DoesNotFitError, match=r"^RESOURCE_EXHAUSTED: 9G of 8G.$"
    ):
        compiling.compile_program(full, "tpu")
    other = lowering.Program("f", Refuses("INTERNAL: no"), (), ())
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        compiling.compile_program(other, "tpu")
