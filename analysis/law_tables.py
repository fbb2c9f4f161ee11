"""The laws of a curve and of a surface as tables of text."""

from collections.abc import Sequence

from analysis import fit as fits
from analysis import inference, profile, records, sentences, sheets, study


def laws(finding: study.Finding) -> sheets.Sheet:
    """Returns one row a law: how it was fitted, how it fits and extrapolates."""
    heads = ("law", "parameters (95 % interval)", "status", "AICc − best")
    heads += ("lack of fit p", "largest budget off by")
    fitted = finding.judged.fitted
    scores = {name: fits.akaike_corrected(fit) for name, fit in fitted.items()}
    known = [value for value in scores.values() if value is not None]
    rows = [
        [
            name,
            "; ".join(_parameter(n, p) for n, p in finding.parameters[name].items()),
            fit.status,
            _behind(scores[name], known),
            _p(inference.lack_of_fit(fit)),
            _held_out(fit),
        ]
        for name, fit in fitted.items()
    ]
    return sheets.Sheet(f"Laws, {finding.judged.curve.label}", heads, rows)


def _behind(score: float | None, known: Sequence[float]) -> str:
    return "" if score is None else sentences.number(score - min(known))


def _parameter(name: str, found: profile.Parameter) -> str:
    return (
        f"{name} {sentences.number(found.value)} ({sentences.interval(found.interval)})"
    )


def _p(test: inference.FTest | None) -> str:
    return "" if test is None else f"{test.p:.2g}"


def _held_out(fit: fits.LawFit) -> str:
    found = inference.held_out_largest(fit.law, fit.frames, fit.score)
    if found is None:
        return ""
    error = sentences.number(found.observed - found.predicted)
    errors = found.standard_errors
    return error if errors is None else f"{error} ({errors:.1f} s.e.)"


def surface_laws(here: study.Environment) -> sheets.Sheet:
    """Returns the two-variable laws and their parameters."""
    rows = []
    for record in map(records.surface_record, here.surfaces):
        parameters = "; ".join(
            _parameter(name, profile.Parameter(**found))
            for name, found in record["parameters"].items()
        )
        rows.append([record["law"], record["equation"], parameters, record["status"]])
    if here.robust is not None:
        law, values = here.robust.law, [*here.robust.coefficients, *here.robust.shapes]
        names = law.coefficients + law.shapes
        shown = [
            f"{n} {sentences.number(v)}" for n, v in zip(names, values, strict=True)
        ]
        text = "the same, Huber's loss on log score"
        rows.append([law.name, text, "; ".join(shown), here.robust.status])
    heads = ("law", "equation", "parameters (95 % interval)", "status")
    return sheets.Sheet("Laws of frames and searched states", heads, rows)
