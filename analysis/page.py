"""One self-contained HTML page: figures inline, data embedded, no network, no script.

Pieces of HTML are made here; what goes onto the page is in `report`.
"""

import base64
import html
import re
from collections.abc import Sequence

from analysis import drawing, sheets

VARIABLES = {
    drawing.INK: "var(--ink)",
    drawing.SOFT: "var(--soft)",
    drawing.AXIS: "var(--axis)",
    drawing.GRID: "var(--grid)",
    drawing.PAPER: "var(--paper)",
}

LIGHT = """--paper:#ffffff;--ink:#22282d;--soft:#59636b;--axis:#808080;--grid:#e4e7e9;
--card:#f5f6f7;--link:#005a9c"""
DARK = """--paper:#14181b;--ink:#e6e9eb;--soft:#a5afb7;--axis:#8a939a;--grid:#2d353a;
--card:#1d2327;--link:#7cc0f2"""

STYLE = (
    ":root{color-scheme:light dark;" + LIGHT + "}\n"
    "@media (prefers-color-scheme:dark){:root{" + DARK + "}}\n"
    "@media print{:root{color-scheme:light;" + LIGHT + "}}\n"
    """
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1.2rem;background:var(--paper);
 color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.2;margin:.2rem 0}
h2{font-size:1.3rem;margin:2.4rem 0 .6rem;border-top:1px solid var(--grid);
 padding-top:1rem}
h3{font-size:1.05rem;margin:1.4rem 0 .4rem}
p,ul{max-width:46rem;margin:.4rem 0}
ul{padding-left:1.2rem}
a{color:var(--link)}
.soft,figcaption{color:var(--soft);font-size:.9rem}
.verdicts{display:grid;gap:.7rem;
 grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr))}
.card{background:var(--card);border-left:5px solid var(--hue);padding:.7rem .9rem;
 border-radius:4px;break-inside:avoid}
.card p{margin:.3rem 0 0}
.word{display:inline-block;font-weight:700;border-bottom:3px solid var(--hue)}
.consistent{--hue:#009e73}.saturating{--hue:#d55e00}.accelerating{--hue:#0072b2}
.break{--hue:#cc79a7}.underpowered{--hue:#8a8f93}
.figures{display:grid;gap:1.4rem 2rem;align-items:start;
 grid-template-columns:repeat(auto-fit,minmax(min(22rem,100%),1fr))}
figure{margin:0;break-inside:avoid;max-width:34rem}
figure h3{margin:0 0 .2rem}
figure svg{width:100%;height:auto;display:block}
figure svg *{stroke-linejoin:round;stroke-linecap:butt}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem .25rem 0;text-align:right;vertical-align:top;
 border-bottom:1px solid var(--grid);overflow-wrap:normal;white-space:nowrap}
th{font-weight:600;color:var(--soft)}
th:first-child,td:first-child,td.text,th.text{text-align:left}
td.text{white-space:normal;min-width:11rem}td:first-child{min-width:0}
code{font-size:.85em}
@media print{body{max-width:none;padding:0;font-size:10pt}
 h2,h3{break-after:avoid}table{font-size:7.5pt}
 td,th{padding-right:.35rem;white-space:normal}td.text{min-width:4rem}
 .scroll{overflow:visible}.figures{grid-template-columns:1fr 1fr}
 tr{break-inside:avoid}.screen{display:none}}
"""
)


def text(value: str) -> str:
    """Returns text with the characters of HTML escaped."""
    return html.escape(value, quote=True)


def inline_svg(svg: bytes, prefix: str, title: str) -> str:
    """Returns an SVG file as an element of the page.

    Neutral colours become variables of the style sheet, ids get a prefix so that
    figures do not meet, and what only a file needs is left out.
    """
    source = svg.decode()
    source = source[source.index("<svg") :].strip()
    source = re.sub(r"<metadata>.*?</metadata>", "", source, flags=re.DOTALL)
    source = re.sub(r"<style.*?</style>", "", source, flags=re.DOTALL)
    source = re.sub(r'<g id="[^"]*"', "<g", source)
    source = re.sub(r'\bid="', f'id="{prefix}-', source)
    source = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", source)
    for colour, variable in VARIABLES.items():
        source = source.replace(colour, variable)
    source = source.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
    opening = re.sub(r' (width|height)="[^"]*pt"', "", source[: source.index(">")])
    label = f' role="img" aria-label="{text(title)}"'
    return opening + label + source[source.index(">") :]


def figure(svg: bytes, prefix: str, title: str, caption: str) -> str:
    """Returns a figure with its heading and caption."""
    return (
        f"<figure><h3>{text(title)}</h3>{inline_svg(svg, prefix, title)}"
        f"<figcaption>{text(caption)}</figcaption></figure>\n"
    )


def sheet(found: sheets.Sheet, level: int = 3) -> str:
    """Returns a table under its heading; a wide one scrolls by itself."""
    wordy = [
        index == 0 or any(len(row[index]) > 24 for row in found.rows)
        for index in range(len(found.heads))
    ]
    head = "".join(_cell("th", *pair) for pair in zip(found.heads, wordy, strict=True))
    rows = "".join(
        "<tr>"
        + "".join(_cell("td", *pair) for pair in zip(row, wordy, strict=True))
        + "</tr>\n"
        for row in found.rows
    )
    return (
        f'<h{level}>{text(found.title)}</h{level}>\n<div class="scroll" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n"
    )


def _cell(tag: str, value: str, wordy: bool) -> str:
    kind = ' class="text"' if wordy else ""
    return f"<{tag}{kind}>{text(value)}</{tag}>"


def card(word: str, head: str, sentence: str) -> str:
    """Returns a verdict: the word, what it is about, and its sentence."""
    return (
        f'<div class="card {word}"><span class="word">{word}</span> {text(head)}'
        f"<p>{text(sentence)}</p></div>\n"
    )


def items(sentences: Sequence[str]) -> str:
    """Returns a list, or nothing where there is nothing to say."""
    if not sentences:
        return ""
    return (
        "<ul>" + "".join(f"<li>{text(each)}</li>\n" for each in sentences) + "</ul>\n"
    )


def download(name: str, kind: str, content: bytes) -> str:
    """Returns a link that saves content which is in the page itself."""
    data = base64.b64encode(content).decode()
    return (
        f'<a download="{text(name)}" href="data:{kind};base64,{data}">{text(name)}</a>'
    )


def document(title: str, body: str) -> bytes:
    """Returns the whole page."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{text(title)}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>{STYLE}</style></head>\n<body>\n{body}</body></html>\n"
    ).encode()
