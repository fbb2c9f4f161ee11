"""A video of the first evaluation episode: the one that is counted as episode 0.

It is played again with the keys, the seed and the batch of the evaluation, one step
at a time, and written by Pillow as an animation; no other program is needed.
"""

import math
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from scaling import config, evaluate, types
from scaling.envs import interface, pictures

FORMATS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}
SIDE = 300  # pixels that each side has at least
MILLISECONDS = 67  # a picture: 1/15 s, an agent step of Atari; GIF keeps 60 of them
LAST_MILLISECONDS = 1000  # of the last picture


class Moment(NamedTuple):
    """The first episode, between two steps."""

    observation: np.ndarray  # [...] one frame
    picture: np.ndarray | None  # [H, W, 3] uint8, if the environment draws itself
    total: float  # return so far


class Film(NamedTuple):
    """The first episode as pictures, the one before its first step included."""

    pictures: list[np.ndarray]  # [H, W, 3] uint8 each, small
    total: float  # return of the episode


Watch = Callable[[types.Params, int, int], Iterator[Moment]]
"""(params, seed, episodes) → the first episode of an evaluation of so many."""


def check(path: pathlib.Path) -> None:
    """Refuses a file that cannot be written, before anything is played.

    Raises:
      ValueError: if the suffix names no format, or a directory is in the way.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(
            f"--video {path} names no format that can be written; give the file one of "
            f"the suffixes {', '.join(FORMATS)}."
        )
    blocked = [parent for parent in path.parents if parent.is_file()]
    if path.is_dir() or blocked:
        what = f"{path} is a directory" if path.is_dir() else f"{blocked[0]} is a file"
        raise ValueError(f"--video cannot be written, since {what}; name another file.")


def on_device(
    env: interface.DeviceEnvironment,
    policy: evaluate.Policy,
    protocol: config.Protocol,
    lanes: int = evaluate.LANES,
) -> Watch:
    """Returns the function that plays the first episode of `evaluate.on_device`."""
    begin, step = map(jax.jit, evaluate.moves_on_device(env, policy, protocol))

    def watch(params: types.Params, seed: int, episodes: int) -> Iterator[Moment]:
        # The whole batch is played: in another shape, numbers may round otherwise.
        keys, counted = evaluate.rows_of(seed, 0, lanes, episodes)
        playing = begin(keys, counted)
        yield _moment(env, playing)
        while not playing.ended[0]:
            playing = step(params, keys, playing)
            yield _moment(env, playing)

    return watch


def _moment(env: interface.DeviceEnvironment, playing: evaluate.Playing) -> Moment:
    return Moment(
        np.asarray(playing.history.observations[0, -1]),
        _own_picture(env, playing.env_state, 0),
        float(playing.total[0]),
    )


def on_host(
    env: interface.HostEnvironment, policy: evaluate.Policy, protocol: config.Protocol
) -> Watch:
    """Returns the function that plays the first episode of `evaluate.on_host`."""

    def watch(params: types.Params, seed: int, episodes: int) -> Iterator[Moment]:
        total = 0.0
        for turn in evaluate.turns_on_host(
            env, policy, protocol, params, seed, episodes
        ):
            total += float(turn.reward[0])
            yield Moment(turn.observation[0], _own_picture(env, 0), total)
            if turn.ended[0]:
                return

    return watch


def _own_picture(env: Any, *row: Any) -> np.ndarray | None:
    draw = getattr(env, "render", None)
    return draw(*row) if draw else None


def film(moments: Iterator[Moment], spec: types.EnvSpec) -> Film:
    """Returns the pictures of an episode and its return.

    Raises:
      ValueError: if there is no picture of an observation, at the first one.
    """
    shots, total = [], 0.0
    for moment in moments:
        shot, total = moment.picture, moment.total
        if shot is None:
            shot = pictures.of_observation(moment.observation, spec)
        shots.append(shot)
    return Film(shots, total)


def write(path: pathlib.Path, shots: Sequence[np.ndarray]) -> None:
    """Writes the pictures as an animation, in one step; equal neighbours are joined.

    Raises:
      ValueError: if the file cannot be written.
    """
    first, *others = (enlarged(shot) for shot in shots)
    durations = [MILLISECONDS] * (len(shots) - 1) + [LAST_MILLISECONDS]
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        first.save(
            part,
            FORMATS[path.suffix.lower()],
            save_all=True,
            append_images=others,
            duration=durations,
            loop=0,
            lossless=True,  # WebP; the others always are
        )
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ValueError(
            f"{path} cannot be written ({error.strerror or error}); name another file "
            "with --video."
        ) from error


def enlarged(shot: np.ndarray) -> Image.Image:
    """Returns the picture, each pixel repeated so often that `SIDE` is reached."""
    factor = math.ceil(SIDE / min(shot.shape[:2]))
    return Image.fromarray(shot.repeat(factor, axis=0).repeat(factor, axis=1))
