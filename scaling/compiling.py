"""Compiling programs for a mesh whose devices need not be here.

The compilers of TPUs and GPUs run on a CPU. What they make can be read (memory,
text) and not run.

Source: jax.experimental.topologies.
"""

import os
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies

from scaling import lowering, targets

_PLATFORMS = {"tpu": "tpu", "gpu": "cuda"}
# A compiler without its hardware: it is not to look for any, to warn that there is
# none, or to keep a second compiler from starting.
_COMPILE_ONLY = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_MIN_LOG_LEVEL": "3",
    "TPU_STDERR_LOG_LEVEL": "3",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


class Memory(NamedTuple):
    """Bytes on one device while a program runs."""

    arguments: int
    outputs: int
    aliased: int  # of the outputs, those that take the place of arguments
    temporaries: int
    code: int
    beside: int  # what else is there: not read by this program, or not given to it

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self) - 2 * self.aliased


class Compiled(NamedTuple):
    """A compiled program."""

    memory: Memory
    text: str
    flops: float | None  # of one device, bodies of loops counted once


class DoesNotFitError(Exception):
    """The compiler refuses a program since its memory does not suffice."""


def devices(target: targets.Target) -> list[Any]:
    """Returns devices of a target, to compile for; none of them is there.

    Raises:
      RuntimeError: if the target's compiler cannot be started.
    """
    os.environ.update(_COMPILE_ONLY)
    jax.config.update("jax_platforms", "cpu")
    # A program for other hardware is of no use to the runs of this machine.
    jax.config.update("jax_enable_compilation_cache", False)
    jax.devices()  # now, while nobody listens to what plugins say of it
    options = dict(target.chip.options)
    if target.chip.family == "tpu":
        name = f"{target.chip.name}:{target.topology}"
        return list(
            topologies.get_topology_desc(name, platform="tpu", **options).devices
        )
    one_host = f"1x1x{target.topology}"
    return list(
        topologies.get_topology_desc(
            "", platform="cuda", topology=one_host, **options
        ).devices
    )


def compile_program(program: lowering.Program, family: str | None = None) -> Compiled:
    """Returns the compiled program.

    Args:
      program: one of `lowering.programs`.
      family: of the target that its mesh is of; None: a mesh of present devices.

    Raises:
      DoesNotFitError: if the compiler says that the memory does not suffice.
    """
    platforms = None if family is None else (_PLATFORMS[family],)
    traced = program.function.trace(*program.arguments)
    lowered = traced.lower(lowering_platforms=platforms)
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise DoesNotFitError(str(error).splitlines()[0]) from error
        raise
    return Compiled(
        memory=_memory(
            compiled, lowering.bytes_on_one((program.arguments, program.beside))
        ),
        text=compiled.as_text(),
        flops=(compiled.cost_analysis() or {}).get("flops"),
    )


def _memory(compiled: Any, present: int) -> Memory:
    """Returns the compiler's figures; `present` is all that is there before."""
    found = compiled.memory_analysis()
    return Memory(
        arguments=found.argument_size_in_bytes,
        outputs=found.output_size_in_bytes,
        aliased=found.alias_size_in_bytes,
        temporaries=found.temp_size_in_bytes,
        code=found.generated_code_size_in_bytes,
        # The compiler counts no argument that is not read.
        beside=max(0, present - found.argument_size_in_bytes),
    )
