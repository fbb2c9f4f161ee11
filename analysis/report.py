"""report.html: verdicts first, then figures and tables, methods and versions last."""

import hashlib
import importlib.metadata
import pathlib
import platform
from collections.abc import Sequence

from analysis import across as together
from analysis import gallery, law_tables, page, sentences, sheets, study, tables

FULL_ENVIRONMENTS = 6  # more get Figure 1 and their slopes only
PACKAGES = ("numpy", "scipy", "pandas", "matplotlib", "seaborn", "scaling-unplugged")

METHODS = (
    "The law: score = a + b log10(frames), by environment and fraction. Frames count "
    "all data a run learned from. The law is semi-log; laws of language models are "
    "log-log, so “like language models” is an analogy.",
    "Slopes: ordinary least squares with the HC3 covariance and t quantiles, which "
    "keep their coverage when noise grows with the score.",
    "Is it a line? A Box–Cox law a + b (n^λ − 1)/(λ ln 10) contains it at λ = 0; λ has "
    "a profile interval, widened or narrowed by the ratio of the HC3 to the plain "
    "variance. Lack of fit is the pure-error F test.",
    "The verdict, in this order: slope interval contains 0, underpowered; λ interval "
    "below 0, saturating, above 0, accelerating; lack of fit p < .01, break; fewer "
    "than 5 budgets, no replicates, λ half-width of .5 or more, or checkpoints of one "
    "run, underpowered; else consistent, which means that nothing measured contradicts "
    "the line, and no more.",
    "Other laws: variable projection from a grid, status from the relative offset of "
    "the optimum; laws of one or two shapes have profile intervals, others those of "
    "their tangent. The law with the best AICc is often the worst at predicting the "
    "largest budget.",
    "Ratios (data multiplier, crossover, frames to a score): Fieller sets; unbounded "
    "means not identified. Bands of lines are simultaneous (Working–Hotelling).",
    "Best fractions: draws of cell means from their t distribution, or resampled seeds "
    "from 10 seeds a cell on.",
    "Over environments: scores normalised to 0 for random play and 1 for the "
    "reference; interquartile mean, optimality gap, performance profiles and "
    "probability of improvement with stratified bootstraps over seeds.",
)


def written(
    found: Sequence[study.Environment],
    whole: together.Across | None,
    figures: Sequence[Sequence[gallery.Rendered]],
    shared: Sequence[gallery.Rendered],
    sources: Sequence[pathlib.Path],
    files: dict[str, bytes],
    compare: bool,
) -> bytes:
    """Returns the report.

    Args:
      found: the environments.
      whole: what was found over them, None for a single one.
      figures: of each environment.
      shared: figures over environments.
      sources: the tables that were read.
      files: what to embed for download, by name.
      compare: whether to give the paper's aggregates.
    """
    runs = sum(here.runs for here in found)
    body = (
        "<header><h1>Score against data</h1>"
        f'<p class="soft">{page.text(_counted(found, runs))}</p></header>\n'
    )
    body += _verdicts(found) + _over_environments(whole, shared, compare)
    for index, (here, drawn) in enumerate(zip(found, figures, strict=True)):
        body += _environment(here, drawn, f"e{index}", len(found) <= FULL_ENVIRONMENTS)
    body += _methods(whole) + _sources(sources, files)
    name = found[0].env if len(found) == 1 else f"{len(found)} environments"
    return page.document(f"Score against data: {name}", body)


def _counted(found: Sequence[study.Environment], runs: int) -> str:
    lost = runs - sum(here.statuses.get("ok", 0) for here in found)
    envs = found[0].env if len(found) == 1 else f"{len(found)} environments"
    return f"{envs}, {runs:,} runs, {lost:,} of them failed, diverged or interrupted"


def _verdicts(found: Sequence[study.Environment]) -> str:
    if len(found) > FULL_ENVIRONMENTS:
        return "<h2>Verdicts</h2>\n" + page.sheet(_verdict_table(found))
    body = "<h2>Verdicts</h2>\n"
    for here in found:
        heading = f"<h3>{page.text(here.env)}</h3>\n" if len(found) > 1 else ""
        cards = "".join(
            page.card(j.verdict.word, _about(j.curve.label), sentences.sentence(j))
            for j in here.fits
        )
        body += f'{heading}<div class="verdicts">{cards}</div>\n'
        body += page.items(_comparisons(here))
    return body


def _about(label: str) -> str:
    return label if label[0].isalpha() else f"fraction {label}"


def _comparisons(here: study.Environment) -> list[str]:
    said = [sentences.multiplier_sentence(found) for found in here.multipliers]
    said += [sentences.crossover_sentence(found) for found in here.crossovers]
    if here.equal_slopes:
        said.append(f"One slope for all fractions: p = {here.equal_slopes.p:.2g}.")
    advice = [text for f in here.findings for text in sentences.seeds_advice(f)]
    return advice + said + sentences.refusal_sentences(here) + sentences.notes(here)


def _verdict_table(found: Sequence[study.Environment]) -> sheets.Sheet:
    words = [judged.verdict.word for here in found for judged in here.fits]
    counts = ", ".join(
        f"{words.count(word)} {word}" for word in sorted(set(words), key=words.index)
    )
    labels = list(dict.fromkeys(j.curve.label for here in found for j in here.fits))
    rows = []
    for here in found:
        cells = {j.curve.label: tables.verdict_cell(j) for j in here.fits}
        rows.append([here.env, *(cells.get(label, "") for label in labels)])
    title = f"Of {len(words)} curves: {counts}. Slopes per tenfold frames"
    return sheets.Sheet(title, ("environment", *map(_about, labels)), rows)


def _over_environments(
    whole: together.Across | None, shared: Sequence[gallery.Rendered], compare: bool
) -> str:
    if whole is None:
        return ""
    published = sentences.published_aggregates() if compare else []
    sheets = [s for s in (tables.across(whole), tables.pooled(whole)) if s.rows]
    return (
        "<h2>Over all environments</h2>\n"
        + page.items(sentences.across_sentences(whole) + published)
        + _figures(shared, "all")
        + "".join(map(page.sheet, sheets))
    )


def _figures(drawn: Sequence[gallery.Rendered], prefix: str) -> str:
    inner = "".join(
        page.figure(each.svg, f"{prefix}-{each.name}", each.title, each.caption)
        for each in drawn
    )
    return f'<div class="figures">{inner}</div>\n' if inner else ""


def _environment(
    here: study.Environment,
    drawn: Sequence[gallery.Rendered],
    prefix: str,
    full: bool,
) -> str:
    body = f"<h2>{page.text(here.env)}</h2>\n" + _figures(drawn, prefix)
    if not full:
        return body + page.items(sentences.notes(here))
    body += "".join(map(page.sheet, tables.environment(here)))
    return body + "".join(page.sheet(law_tables.laws(f)) for f in here.findings)


def _methods(whole: together.Across | None) -> str:
    seed = "" if whole is None else f" Seed of the bootstraps: {whole.seed}."
    return "<h2>Methods</h2>\n" + page.items(METHODS) + f"<p>{seed}</p>\n"


def _sources(sources: Sequence[pathlib.Path], files: dict[str, bytes]) -> str:
    links = ", ".join(
        page.download(
            name, "application/json" if name.endswith("json") else "text/csv", c
        )
        for name, c in files.items()
    )
    tables_read = [
        f"{path.name}, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
        for path in sources
    ]
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return (
        "<h2>Data and versions</h2>\n"
        f'<p class="screen">In this page: {links}.</p>\n'
        + page.items([*tables_read, ", ".join(versions)])
    )
