"""What the commands that make stores of episodes share: one that is finished."""

import pathlib

from scaling.datasets import episodes, importing, manifest, manifest_file, writer


def finished(
    out: pathlib.Path, header: manifest.Header
) -> episodes.EpisodeStore | None:
    """Returns the store if it is finished; None if it is not.

    Raises:
      ValueError: if it holds other data.
    """
    writer.settle(out)
    if not (out / manifest_file.NAME).is_file():
        return None
    store = episodes.open_store(out)
    if not importing.is_of(store.header, header):
        raise ValueError(
            f"{out} holds another data set, or this one by other flags; name another "
            "--out."
        )
    return store


def summary(store: episodes.EpisodeStore) -> str:
    """Returns what a store amounts to, in a line."""
    stats: manifest.Statistics = store.statistics()
    protocol = store.header.protocol
    returns = (
        f"mean return {stats.mean_return:,.1f} (sd {stats.sd_return:,.1f}, best "
        f"{stats.best_return:,.1f})"
    )
    return (
        f"{store.path}: {stats.episodes:,} episodes of {protocol.env}, "
        f"{stats.steps:,} steps, {stats.frames:,} frames, {protocol.reward_kind} "
        f"rewards, {returns}"
    )
