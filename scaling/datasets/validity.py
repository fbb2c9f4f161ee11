"""What makes an episode fit to be stored."""

import numpy as np

from scaling.datasets import manifest
from scaling.datasets.episodes import Episode


def check(episode: Episode, header: manifest.Header, named: str) -> None:
    """Refuses an episode that is not whole, of other shapes, or not finite.

    Args:
      episode: to be written.
      header: of the store.
      named: words for the file and the episode, which the sentence begins with.

    Raises:
      ValueError: saying what is wrong.
    """
    steps, seen = len(episode.actions), len(episode.observations)
    if steps == 0:
        raise ValueError(f"{named} has no steps.")
    if len(episode.rewards) != steps or seen not in (steps, steps + 1):
        raise ValueError(
            f"{named} has {steps} actions, {len(episode.rewards)} rewards and {seen} "
            f"observations; {steps} actions need {steps} rewards and {steps + 1} or "
            f"{steps} observations."
        )
    for field in manifest.FIELDS:
        array: np.ndarray = getattr(episode, field)
        row, dtype = header.row_shape(field), header.dtype(field)
        if array.shape[1:] != row or array.dtype != dtype:
            raise ValueError(
                f"{named} has {field} of {array.dtype} {array.shape[1:]}, but those of "
                f"this data set are {dtype} {row}."
            )
    _check_values(episode, header, named)


def _check_values(episode: Episode, header: manifest.Header, named: str) -> None:
    for field in ("observations", "rewards"):
        array: np.ndarray = getattr(episode, field)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            step = int(np.argwhere(~np.isfinite(array))[0, 0])
            raise ValueError(
                f"{named} has a NaN or an infinity in its {field} at step {step}."
            )
    least, most = int(episode.actions.min()), int(episode.actions.max())
    if least < 0 or most >= header.protocol.num_actions:
        raise ValueError(
            f"{named} has the actions {least} to {most}, but there are only 0 to "
            f"{header.protocol.num_actions - 1}."
        )
