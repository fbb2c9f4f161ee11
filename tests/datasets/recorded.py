"""Data sets as others publish them, written from their descriptions for the tests."""

import gzip
import io
import pathlib
import struct
from typing import Any

import numpy as np
from PIL import Image

from scaling.datasets import episodes, manifest, writer

SIDE = 84


def episode(
    rng,
    steps: int = 4,
    shape: tuple[int, ...] = (3, 2),
    dtype: Any = np.uint8,
    last: bool = True,
    terminated: bool = True,
):
    """Returns a random episode of our own."""
    seen = rng.integers(0, 200, (steps + last, *shape)).astype(dtype)
    return episodes.Episode(
        observations=seen,
        actions=rng.integers(0, 5, steps).astype(np.int32),
        rewards=rng.normal(size=steps).astype(np.float32),
        terminated=terminated,
    )


def header(
    shape: tuple[int, ...] = (3, 2),
    dtype: str = "|u1",
    chunk_bytes: int = 64,
    **changes: Any,
):
    """Returns the header of a store of `episode`s, with small chunks."""
    protocol: dict[str, Any] = {
        "env": "jumanji:PacMan-v1",
        "num_actions": 5,
        "action_set": "own",
        "frame_skip": 1,
        "reward_kind": "raw",
    } | changes
    return manifest.Header(
        observation_shape=shape,
        observation_dtype=dtype,
        protocol=manifest.Recording(**protocol),
        action_map={i: i for i in range(5)},
        provenance={"kind": "test", "command": None},
        chunk_bytes=chunk_bytes,
    )


def store(path, recorded, head=None):
    """Writes the episodes; returns the opened store."""
    with writer.EpisodeWriter(path, head or header()) as out:
        for each in recorded:
            out.append(each)
        out.finish()
    return episodes.open_store(path)


def assert_equal(one, other):
    """Holds two episodes against each other, types included."""
    for field in manifest.FIELDS:
        left, right = getattr(one, field), getattr(other, field)
        np.testing.assert_array_equal(left, right)
        assert left.dtype == right.dtype
    assert one.terminated == other.terminated


def tree(path: pathlib.Path) -> dict[str, bytes]:
    """Returns every file under `path` with its bytes."""
    files = (p for p in path.rglob("*") if p.is_file())
    return {str(p.relative_to(path)): p.read_bytes() for p in files}


# RL Unplugged: TFRecords of tf.Examples, as the protocol buffers' guide encodes them.


def varint(value: int) -> bytes:
    out = bytearray()
    value %= 2**64
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def delimited(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def bytes_feature(values) -> bytes:
    return delimited(1, b"".join(delimited(1, value) for value in values))


def floats_feature(values) -> bytes:
    packed = np.asarray(values, "<f4").tobytes()
    return delimited(2, delimited(1, packed))


def ints_feature(values) -> bytes:
    return delimited(3, delimited(1, b"".join(varint(int(v)) for v in values)))


def example(features: dict[str, bytes]) -> bytes:
    entries = (
        delimited(1, delimited(1, name.encode()) + delimited(2, feature))
        for name, feature in features.items()
    )
    return delimited(1, b"".join(entries))


def crc32c(data: bytes) -> int:
    """The checksum bit by bit, as RFC 3720 defines it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def tfrecord(payload: bytes) -> bytes:
    length = struct.pack("<Q", len(payload))
    return (
        length
        + struct.pack("<I", masked(length))
        + payload
        + struct.pack("<I", masked(payload))
    )


def png(pixels: np.ndarray) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    return packed.getvalue()


def rlu_features(frames, actions, rewards, *, ends=True) -> dict[str, bytes]:
    """Returns an episode's features, N entries each.

    Args:
      frames: [N, 84, 84]; the last is what the last action led to.
      actions: [N - 1]
      rewards: [N - 1]
      ends: whether it terminates.
    """
    discounts = np.ones(len(frames))
    discounts[-1] = 0.0 if ends else 1.0
    return {
        "checkpoint_idx": ints_feature([0]),
        "episode_idx": ints_feature([7]),
        "episode_return": floats_feature([np.sum(rewards)]),
        "clipped_episode_return": floats_feature([np.clip(rewards, -1, 1).sum()]),
        "observations": bytes_feature([png(frame) for frame in frames]),
        "actions": ints_feature([*actions, 3]),  # the last entry means nothing
        "unclipped_rewards": floats_feature([*rewards, 99]),
        "clipped_rewards": floats_feature([*np.clip(rewards, -1, 1), 1]),
        "discounts": floats_feature(discounts),
    }


def rlu_shard(path, examples, packed=True):
    """Writes a shard of serialised examples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(tfrecord(each) for each in examples)
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    return path


# DQN Replay: Dopamine's ring, written by a plain loop as `add` and the dumps do it.


def dqn_folder(folder, played, capacity, counted=True):
    """Plays episodes into a ring and dumps it as the logging buffer did.

    Args:
      folder: where the files go.
      played: (frames [T, 84, 84], actions, rewards) of each episode, all terminated.
      capacity: rows of the ring.
      counted: whether add_count is written.

    Returns:
      The number of dumps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ring = {
        "observation": np.zeros((capacity, SIDE, SIDE), np.uint8),
        "action": np.zeros(capacity, np.int32),
        "reward": np.zeros(capacity, np.float32),
        "terminal": np.zeros(capacity, np.uint8),
    }
    added = dumps = 0
    for frames, actions, rewards in played:
        for t in range(-3, len(actions)):
            row = (
                (0, 0, 0, 0)
                if t < 0
                else (frames[t], actions[t], rewards[t], t == len(actions) - 1)
            )
            for array, value in zip(ring.values(), row, strict=True):
                array[added % capacity] = value
            added += 1
            if added % capacity == capacity - 1:
                dump(folder, dumps, ring, added if counted else None)
                dumps += 1
    return dumps


def dump(folder, number, ring, added):
    for name, array in ring.items():
        save(folder / f"$store$_{name}_ckpt.{number}.gz", array)
    if added is not None:
        save(folder / f"add_count_ckpt.{number}.gz", np.array(added))


def save(path, array, **kwargs):
    packed = io.BytesIO()
    np.save(packed, array, **kwargs)
    path.write_bytes(gzip.compress(packed.getvalue(), 1))
