"""Where a study stands, as one small page without scripts or network."""

import datetime
import html

from launch import status_words
from launch.standing import Standing, Study

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --good: #2a7; --busy: #37c;
  --bad: #c33 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto;
  padding: 0 1rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap }
th { font-weight: 600 }
.finished { color: var(--good) } .running { color: var(--busy); font-weight: 600 }
.failed, .damaged { color: var(--bad); font-weight: 600 }
.to-run { opacity: .6 }
.bar { height: .5rem; background: var(--line); border-radius: .25rem }
.bar div { height: 100%; background: var(--busy); border-radius: .25rem }
code { overflow-wrap: anywhere }
"""


def page(study: Study, refresh_s: float | None) -> str:
    """Returns the page.

    Args:
      study: how far it is.
      refresh_s: seconds after which a browser loads the page again; None: never.
    """
    again = "" if refresh_s is None else _refresh(refresh_s)
    name = html.escape(study.directory.resolve().name)
    now = datetime.datetime.now(datetime.UTC)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">{again}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}: {study.share:.0%}</title><style>{_STYLE}</style></head><body>
<h1>{html.escape(study.settings.env)}, {name}</h1>
<p>{html.escape(status_words.summary(study))}</p>
<div class="bar"><div style="width: {100 * study.share:.1f}%"></div></div>
<div class="scroll">{_grid(study)}</div>
{_failures(study)}
<p><small>As of {now:%Y-%m-%d %H:%M} UTC.</small></p>
</body></html>
"""


def _refresh(seconds: float) -> str:
    return f'<meta http-equiv="refresh" content="{seconds:g}">'


def _grid(study: Study) -> str:
    seeds = status_words.seeds(study)
    heads = "".join(f"<th>seed {seed}</th>" for seed in seeds)
    rows = []
    for frames, fraction, runs in status_words.rows(study):
        cells = "".join(_cell(runs.get(seed)) for seed in seeds)
        rows.append(
            f"<tr><th>{frames}</th><td>{html.escape(fraction)}</td>{cells}</tr>"
        )
    head = f"<tr><th>frames</th><th>fraction</th>{heads}</tr>"
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _cell(run: Standing | None) -> str:
    if run is None:
        return "<td></td>"
    kind = run.state.replace(" ", "-")
    words = html.escape(status_words.of_run(run))
    return f'<td class="{kind}" title="{html.escape(run.run_id)}">{words}</td>'


def _failures(study: Study) -> str:
    items = "".join(
        f"<li><code>{html.escape(run.run_id)}</code>: {html.escape(run.note)}</li>"
        for run in status_words.troubled(study)
    )
    return f"<h2>Failed or stopped</h2><ul>{items}</ul>" if items else ""
