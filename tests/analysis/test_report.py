"""The report: one file, verdicts first, and whole in a browser of any kind."""

import html.parser
import json
import math
import pathlib
import re

import browser
import numpy as np
import pandas as pd
import pytest

from analysis import files, page, study, table

MEASURE = """(() => {
  const width = document.documentElement.clientWidth;
  const boxes = [...document.querySelectorAll('figure svg')].map(s => {
    const b = s.getBoundingClientRect();
    return [b.left, b.right, b.width, b.height];
  });
  const cut = [];
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('svg') || e.closest('.scroll')) continue;
    if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display != 'inline')
      cut.push(e.tagName + ': ' + e.textContent.slice(0, 40));
  }
  for (const t of document.querySelectorAll('figure svg text')) {
    const b = t.getBoundingClientRect();
    const s = t.closest('svg').getBoundingClientRect();
    if (b.left < s.left - 1 || b.right > s.right + 1 ||
        b.top < s.top - 1 || b.bottom > s.bottom + 1)
      cut.push('svg: ' + t.textContent);
  }
  const style = getComputedStyle(document.body);
  return {width, page: document.documentElement.scrollWidth, boxes, cut,
          ink: style.color, paper: style.backgroundColor,
          texts: [...document.querySelectorAll('figure svg text')].map(
            t => getComputedStyle(t).fill)};
})()"""


def rows(
    env="jumanji:PacMan-v1", seed=0, budgets=6, fractions=(0.0, 0.5, 0.95), **more
):
    generator = np.random.default_rng(seed)
    return [
        {
            **{"env": env, "frames": n, "fraction": f, "seed": s, "status": "ok"},
            "searched_states": round(n / (1 - f)),
            "score": (20 + 80 * f) * math.log10(n / 500) + 9 * generator.normal(),
            **more,
        }
        for f in fractions
        for n in np.geomspace(1e4, 1e6, budgets).round().tolist()
        for s in range(3)
    ]


def written(folder: pathlib.Path, *parts: list[dict]) -> pathlib.Path:
    path = folder / "runs.csv"
    pd.DataFrame([row for part in parts for row in part]).to_csv(path, index=False)
    runs = table.read_tables([path])
    made = files.analysed(runs, [path], study.Options(profiled=False), compare=True)
    files.write(folder, made.files)
    return folder / "report.html"


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    small = rows(budgets=5, fractions=(0.0, 0.95))
    return written(tmp_path_factory.mktemp("single"), small)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    small = {"budgets": 3, "fractions": (0.0, 0.95)}
    parts = [
        rows("atari:MsPacman", 1, frames_per_step=4, **small),
        rows(random_score=5.0, **small),
    ]
    return written(tmp_path_factory.mktemp("several"), *parts)


class Outline(html.parser.HTMLParser):
    """Headings in order, tags that were left open, and what would be fetched."""

    VOID = ("meta", "link", "br", "hr", "img")

    def __init__(self, source: str):
        super().__init__()
        self.headings, self.open, self.fetched, self.ids = [], [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data") and value is not None:
                self.fetched.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def test_verdicts_come_first_and_versions_last(single):
    outline = Outline(single.read_text())
    assert outline.headings == [
        *("Score against data", "Verdicts", "jumanji:PacMan-v1"),
        *("Methods", "Data and versions"),
    ]
    assert outline.open == []


def test_the_page_holds_all_it_needs(several):
    source = several.read_text()
    outline = Outline(source)
    assert all(link.startswith(("data:", "#")) for link in outline.fetched)
    assert "<script" not in source
    assert "@import" not in source
    assert len(outline.ids) == len(set(outline.ids))
    assert "underpowered" in source or "consistent" in source
    assert "Over all environments" in source
    for name in ("fit.json", "cells.csv"):
        assert f'download="{name}"' in source


def test_figures_are_text_without_fixed_neutral_colours(single):
    source = single.read_text()
    svgs = re.findall(r"<svg.*?</svg>", source, flags=re.DOTALL)
    assert len(svgs) == 8
    for svg in svgs:
        assert "<text" in svg
        assert "fill: var(--ink)" in svg
        assert not set(re.findall(r"#[0-9a-f]{6}", svg)) & set(page.VARIABLES)


def test_text_is_escaped(tmp_path):
    assert page.text('<b>"&') == "&lt;b&gt;&quot;&amp;"
    tiny = rows("my:<b>Game</b>&", budgets=1, fractions=(0.5,))
    report = written(tmp_path, tiny).read_text()
    assert "<b>" not in report
    assert "my:&lt;b&gt;Game" in report


def test_each_environment_has_a_folder_and_each_figure_three_files(several):
    figures = several.parent / "figures"
    folders = sorted(path.name for path in figures.iterdir() if path.is_dir())
    assert folders == ["atari_MsPacman", "jumanji_PacMan-v1"]
    for svg in figures.rglob("*.svg"):
        assert svg.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
        assert len(pd.read_csv(svg.with_suffix(".csv"))) > 0


def test_published_points_are_marked_where_there_are_any(several):
    found = json.loads((several.parent / "fit.json").read_text())
    envs = {here["env"]: here["published"] for here in found["environments"]}
    assert envs["atari:MsPacman"]["published"] == 70659.76
    assert envs["jumanji:PacMan-v1"] is None
    star = "★: published, MuZero Unplugged"
    first = "score_vs_frames.svg"
    folder = several.parent / "figures"
    assert star in (folder / "atari_MsPacman" / first).read_text()
    assert star not in (folder / "jumanji_PacMan-v1" / first).read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["single", "several"])
def test_chromium_shows_the_whole_report(name, request):
    if browser.chromium() is None:
        pytest.skip("there is no chromium on this machine")
    report = request.getfixturevalue(name)
    inks = set()
    with browser.page() as tab:
        for width, scheme in ((390, "light"), (390, "dark"), (1280, "light")):
            tab.open(report, width, 900, scheme)
            found = tab.evaluate(MEASURE)
            tab.screenshot(report.with_name(f"{width}-{scheme}.png"))
            assert found["cut"] == []
            assert found["page"] <= width
            assert len(found["boxes"]) >= 8
            for left, right, wide, high in found["boxes"]:
                assert 0 <= left < right <= width + 1
                assert wide > 250
                assert high > 100
            assert found["ink"] != found["paper"]
            assert found["ink"] in found["texts"]
            inks.add(found["ink"])
            assert unwanted(tab.events) == []
        printed = tab.pdf()
    assert len(inks) == 2  # light and dark
    assert printed.startswith(b"%PDF")


def unwanted(events):
    """Requests beyond the page itself, and everything on the console."""
    found = []
    for event in events:
        method, details = event.get("method", ""), event.get("params", {})
        if method == "Network.requestWillBeSent":
            if not details["request"]["url"].startswith(("file:", "data:")):
                found.append(details["request"]["url"])
        elif method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            found.append(str(details))
        elif method == "Log.entryAdded":
            found.append(details["entry"]["text"])
    return found
