"""fit.json: everything that was found, in numbers."""

import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis import across as together
from analysis import fit as fits
from analysis import inference, laws, profile, sentences, study, surfaces

SCHEMA = "scaling-unplugged/fit"
SCHEMA_VERSION = 2
DIGITS = 10  # of numbers in the files; later ones differ between machines
NO_RECORD = ("findings", "cells", "surfaces", "robust")  # made into records below


def environment_record(here: study.Environment) -> dict[str, Any]:
    """Returns one element of `environments`: the verdicts first."""
    plain = {k: v for k, v in here._asdict().items() if k not in NO_RECORD}
    return {
        "env": here.env,
        "fits": [fit_record(finding) for finding in here.findings],
        **plain,
        "surfaces": [surface_record(fit) for fit in here.surfaces],
        "two_variable_power_huber": here.robust
        and {**here.robust._asdict(), "law": here.robust.law.name},
    }


def fit_record(finding: study.Finding) -> dict[str, Any]:
    """Returns one element of `fits`: the verdict first, the checks beside it."""
    judged = finding.judged
    curve, line = judged.curve, judged.line
    bend, curved = judged.fitted.get("box-cox"), judged.fitted.get("quadratic")
    return {
        "curve": curve.label,
        "fraction": curve.fraction,
        "control": curve.control,
        "verdict": judged.verdict.word,
        "reason": judged.verdict.reason,
        "sentence": sentences.sentence(judged),
        "runs": curve.frames.size,
        "not_ok": curve.lost.size,
        "checkpoints": curve.checkpoints,
        "seeds_per_budget": seeds_per_budget(curve.frames),
        "slope_per_decade": line and line.linear.coefficients[1],
        "slope_interval": judged.slope,
        "slope_p": line and inference.coefficient_p(line.linear, 1),
        "seed_sd": judged.seed_deviation,
        "effect_size": sentences.effect_size(judged),
        "lambda": bend and bend.shapes[0],
        "lambda_interval": judged.exponent,
        "box_cox_lack_of_fit": bend and inference.lack_of_fit(bend),
        "curvature_p": curved and inference.coefficient_p(curved.linear, 2),
        "residual_pattern": line and inference.residual_pattern(line),
        "seeds_needed": finding.needs,
        "seeds_to_see_slope": finding.seeds_to_see_slope,
        "seeds_for_exponent": finding.seeds_for_exponent,
        "laws": [
            law_record(fit, finding.parameters[name])
            for name, fit in judged.fitted.items()
        ],
        "refused": judged.refused,
    }


def law_record(
    fit: fits.LawFit, parameters: dict[str, profile.Parameter]
) -> dict[str, Any]:
    """Returns one element of `laws`: the fit and how well it extrapolates."""
    reference = f"frames / {fit.reference!r}"
    coefficients = fit.linear.coefficients
    return {
        "law": fit.law.name,
        "equation": fit.law.equation,
        "formula": laws.formula(fit.law, coefficients, fit.shapes, n=reference),
        "reference_frames": fit.reference,
        "estimator": fit.estimator,
        "status": fit.status,
        "agreement": fit.agreement,
        "parameters": parameters,
        "prediction": prediction_record(fit),
        "lack_of_fit": inference.lack_of_fit(fit),
        "aicc": fits.akaike_corrected(fit),
        "held_out_largest": inference.held_out_largest(fit.law, fit.frames, fit.score),
    }


def prediction_record(fit: fits.LawFit) -> dict[str, Any]:
    """Returns the law at its budgets: its band, and where a new seed would lie."""
    budgets = np.unique(fit.frames)
    band = fits.simultaneous_band(fit, budgets)
    return {
        "frames": budgets,
        "score": fits.predict(fit, budgets),
        "simultaneous_half_width": band,
        "new_seed": [
            inference.new_seed_interval(fit, float(frames)) for frames in budgets
        ],
    }


def surface_record(fit: surfaces.SurfaceFit) -> dict[str, Any]:
    """Returns one element of `surfaces`."""
    names = fit.law.coefficients + fit.law.shapes
    values = np.concatenate([fit.linear.coefficients, fit.shapes])
    intervals = surfaces.coefficient_intervals(fit)
    return {
        "law": fit.law.name,
        "equation": fit.law.equation,
        "formula": surfaces.formula(fit),
        "reference_frames": fit.references[0],
        "reference_searched_states": fit.references[1],
        "status": fit.status,
        "agreement": fit.agreement,
        "parameters": {
            name: {"value": value, "interval": interval, "method": "tangent HC3-t"}
            for name, value, interval in zip(names, values, intervals, strict=True)
        },
    }


def as_json(
    found: Sequence[study.Environment],
    whole: together.Across | None,
    sources: Sequence[pathlib.Path],
) -> str:
    """Returns fit.json: numbers to ten digits, null for what is not known."""
    record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "data_axis": "frames + dataset_frames + demonstration_frames",
        "level": inference.LEVEL,
        "tables": [str(path) for path in sources],
        "environments": [environment_record(here) for here in found],
        "across_environments": whole,
    }
    return json.dumps(plain(record), indent=1, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Returns a value as JSON knows it, numbers to ten digits."""
    if hasattr(value, "_asdict"):  # a NamedTuple
        value = value._asdict()
    if hasattr(value, "item") or hasattr(value, "tolist"):  # numpy
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def seeds_per_budget(frames: Any) -> dict[str, int]:
    """Returns how many runs each budget has, by its frames."""
    return {
        f"{budget:.0f}": int((frames == budget).sum()) for budget in sorted(set(frames))
    }
