"""The plot of growth and the table beside it. Loads matplotlib: import it late."""

import csv
import io
import pathlib
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from launch import benchmark_growth
from scaling import results

_SIZE = (9.0, 3.2)  # inches
_MICRO = 1e6


def write(
    points: Sequence[benchmark_growth.Point], name: str, path: pathlib.Path
) -> None:
    """Writes the plot as SVG, and the points as CSV beside it.

    Args:
      points: of all that was varied.
      name: of the workload.
      path: of the SVG file.
    """
    text = io.StringIO(newline="")
    # Text stays text, and the file has neither a date nor random names in it.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        drawn = io.StringIO()
        draw(points, name).savefig(drawn, format="svg", metadata={"Date": None})
    results.write_atomically(path, drawn.getvalue())
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(benchmark_growth.Point._fields)
    writer.writerows(points)
    results.write_atomically(path.with_suffix(".csv"), text.getvalue())


def draw(points: Sequence[benchmark_growth.Point], name: str) -> Figure:
    """Returns a panel for each size that was varied; both axes are logarithmic."""
    varied = list(dict.fromkeys(point.varied for point in points))
    figure = Figure(figsize=_SIZE, layout="constrained")
    panels = figure.subplots(1, len(varied), sharey=True, squeeze=False)[0]
    for panel, what in zip(panels, varied, strict=True):
        there = [point for point in points if point.varied == what]
        size = [point.size for point in there]
        panel.plot(size, [_MICRO * point.seconds for point in there], marker="o")
        panel.fill_between(
            size,
            [_MICRO * point.fastest for point in there],
            [_MICRO * point.slowest for point in there],
            alpha=0.2,
        )
        panel.set(xscale="log", yscale="log", xlabel=what)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("µs for each searched state")
    figure.suptitle(name)
    return figure
