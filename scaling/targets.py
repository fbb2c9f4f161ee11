"""Hardware that a program can be compiled for, with public facts of each chip.

A target is spelled `tpu:v5e:4x4` or `gpu:h100:8`; `tpu:v5e-16` is the name that Cloud
TPU gives the first. Nothing here imports JAX; `scaling.lowering` makes devices of it.
"""

import dataclasses
import difflib
import math

GIB = 2**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
    """Public facts of one chip; rates are peaks, which no program reaches."""

    family: str
    """`tpu` or `gpu`."""
    name: str
    memory: int
    """Bytes that a program can have: of a TPU what its compiler allows (libtpu
    0.0.42.1 names it when it refuses a program), of a GPU what its driver reports."""
    bf16: float
    """FLOP/s of matrix products in bfloat16."""
    f32: float
    """FLOP/s of float32 matrix products as JAX makes them by default: in one pass
    of bfloat16 on a TPU, in TensorFloat-32 on a GPU (`jax.lax.Precision`)."""
    bandwidth: float
    """Bytes/s of the chip's memory."""
    interconnect: float
    """Bytes/s that a chip sends to its neighbours, over all links, one way."""
    per_host: int
    """Chips of one host."""
    topologies: tuple[str, ...]
    """Known arrangements: sides of a torus, or the number of GPUs in one host."""
    cores: int = 1
    """TensorCores of a chip, which Cloud TPU's names of v4 and v5p count."""
    options: tuple[tuple[str, str], ...] = ()
    """What the compiler is told beside the topology."""

    def flops(self, precision: str) -> float:
        """Returns the peak FLOP/s at `f32` or `bf16`."""
        return {"f32": self.f32, "bf16": self.bf16}[precision]


_PLANES = ("2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBES = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8")
_IN_ONE_HOST = ("1", "2", "4", "8")

# What an H100 tells XLA of itself, in the form that XLA's compile-only GPU topology
# takes (GpuTargetConfigProto). Source: openxla/xla issue 25919.
_H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32
  shared_memory_per_block: 49152 shared_memory_per_core: 233472
  threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: 84929347584 shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 }
runtime_version { major: 12 minor: 9 patch: 0 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""

# The same of an A100. Sources: NVIDIA A100 white paper and data sheet (SMs, clock,
# cache, bandwidth), CUDA programming guide, compute capability 8.0 (limits). Bytes
# of memory as the driver reports them: openxla/xla, target_config/specs.
_A100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32
  shared_memory_per_block: 49152 shared_memory_per_core: 167936
  threads_per_core_limit: 2048 core_count: 108 fpus_per_core: 64
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 2039000000000 l2_cache_size: 41943040 clock_rate_ghz: 1.41
  device_memory_size: 85100068864 shared_memory_per_block_optin: 166912
  cuda_compute_capability { major: 8 }
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 }
runtime_version { major: 12 minor: 9 patch: 0 }
device_description_str: "NVIDIA A100-SXM4-80GB"
"""

_CHIPS = (
    # cloud.google.com/tpu/docs/v4: 275 TFLOP/s, 32 GiB at 1200 GB/s, 4 chips a host.
    # Links: 6 of 50 GB/s one way (Jouppi et al. 2023, arXiv 2304.01433, table 4).
    # `megacore` makes one device of a chip's two TensorCores.
    Chip(
        family="tpu",
        name="v4",
        memory=int(30.75 * GIB),
        bf16=275e12,
        f32=275e12,
        bandwidth=1200e9,
        interconnect=300e9,
        per_host=4,
        topologies=_CUBES,
        cores=2,
        options=(("chip_config_name", "megacore"),),
    ),
    # cloud.google.com/tpu/docs/v5e: 197 TFLOP/s, 16 GB at 819 GB/s, links of 400 GB/s
    # both ways (1600 Gbit/s one way), 8 chips a host.
    Chip(
        family="tpu",
        name="v5e",
        memory=int(15.75 * GIB),
        bf16=197e12,
        f32=197e12,
        bandwidth=819e9,
        interconnect=200e9,
        per_host=8,
        topologies=_PLANES,
    ),
    # cloud.google.com/tpu/docs/v5p: 459 TFLOP/s, 95 GiB at 2765 GB/s, links of
    # 1200 GB/s both ways, 4 chips a host.
    Chip(
        family="tpu",
        name="v5p",
        memory=int(95.74 * GIB),
        bf16=459e12,
        f32=459e12,
        bandwidth=2765e9,
        interconnect=600e9,
        per_host=4,
        topologies=_CUBES,
        cores=2,
    ),
    # cloud.google.com/tpu/docs/v6e: 918 TFLOP/s, 32 GB at 1638 GB/s, links of
    # 800 GB/s both ways, 8 chips a host.
    Chip(
        family="tpu",
        name="v6e",
        memory=int(31.25 * GIB),
        bf16=918e12,
        f32=918e12,
        bandwidth=1638e9,
        interconnect=400e9,
        per_host=8,
        topologies=_PLANES,
    ),
    # NVIDIA A100 data sheet, SXM 80 GB: 312 TFLOP/s, 156 in TensorFloat-32 (both
    # without sparsity), 2039 GB/s, NVLink of 600 GB/s both ways.
    Chip(
        family="gpu",
        name="a100",
        memory=85_100_068_864,
        bf16=312e12,
        f32=156e12,
        bandwidth=2039e9,
        interconnect=300e9,
        per_host=8,
        topologies=_IN_ONE_HOST,
        options=(("target_config", _A100),),
    ),
    # NVIDIA H100 data sheet, SXM: 1979 and 989 TFLOP/s with sparsity, half without;
    # 3.35 TB/s, NVLink of 900 GB/s both ways.
    Chip(
        family="gpu",
        name="h100",
        memory=84_929_347_584,
        bf16=989.4e12,
        f32=494.7e12,
        bandwidth=3352e9,
        interconnect=450e9,
        per_host=8,
        topologies=_IN_ONE_HOST,
        options=(("target_config", _H100),),
    ),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """Chips in an arrangement."""

    chip: Chip
    topology: str
    """Such as `4x4`; of GPUs, how many."""

    @property
    def name(self) -> str:
        """The target as it is spelled."""
        return f"{self.chip.family}:{self.chip.name}:{self.topology}"

    @property
    def chips(self) -> int:
        """How many chips there are."""
        return math.prod(int(side) for side in self.topology.split("x"))

    @property
    def hosts(self) -> int:
        """How many hosts they are in."""
        return -(-self.chips // self.chip.per_host)


def names() -> list[str]:
    """Returns every known target as it is spelled."""
    return [target.name for target in _targets()]


def parse(text: str) -> Target:
    """Returns the target that `text` names.

    Args:
      text: such as `tpu:v5e:4x4`, `gpu:h100:8`, or `tpu:v5e-16` as on Cloud TPU,
        whose number counts chips (v5e, v6e) or TensorCores (v4, v5p).

    Raises:
      ValueError: if it is unknown, naming the known ones.
    """
    found = {target.name: target for target in _targets()}
    found |= {_cloud_name(t): t for t in _targets() if t.chip.family == "tpu"}
    if text in found:
        return found[text]
    close = difflib.get_close_matches(text.lower(), found, n=1)
    meant = f" (did you mean {close[0]}?)" if close else ""
    known = "; ".join(
        f"{chip.family}:{chip.name}: with {', '.join(chip.topologies)}"
        for chip in _CHIPS
    )
    raise ValueError(
        f"There is no target {text!r}{meant}; write FAMILY:CHIP:TOPOLOGY, of which "
        f"these are known: {known}."
    )


def _targets() -> list[Target]:
    return [
        Target(chip=chip, topology=topology)
        for chip in _CHIPS
        for topology in chip.topologies
    ]


def _cloud_name(target: Target) -> str:
    """Returns the accelerator type of Cloud TPU, as `tpu:v5e-16`."""
    return f"tpu:{target.chip.name}-{target.chips * target.chip.cores}"
