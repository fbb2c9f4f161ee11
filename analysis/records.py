"""fit.json: everything that was found, in numbers."""

import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any

from analysis import fit as fits
from analysis import inference, laws, sentences
from analysis import verdict as verdicts

SCHEMA = "scaling-unplugged/fit"
SCHEMA_VERSION = 1
DIGITS = 10  # of numbers in the files; later ones differ between machines


def fit_record(judged: verdicts.Judgement) -> dict[str, Any]:
    """Returns one element of `fits`: the verdict first, the checks beside it."""
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
        "curvature_p": curved and inference.coefficient_p(curved.linear, 2),
        "residual_pattern": line and inference.residual_pattern(line),
        "laws": [law_record(fit) for fit in judged.fitted.values()],
        "refused": judged.refused,
    }


def law_record(fit: fits.LawFit) -> dict[str, Any]:
    """Returns one element of `laws`: the fit and how well it extrapolates."""
    coefficients = fit.linear.coefficients
    return {
        "law": fit.law.name,
        "equation": fit.law.equation,
        "formula": laws.formula(fit.law, coefficients, fit.shapes, fit.reference),
        "reference_frames": fit.reference,
        "coefficients": dict(zip(fit.law.coefficients, coefficients, strict=True)),
        "shapes": dict(zip(fit.law.shapes, fit.shapes, strict=True)),
        "status": fit.status,
        "agreement": fit.agreement,
        "lack_of_fit": inference.lack_of_fit(fit),
        "aicc": fits.akaike_corrected(fit),
        "held_out_largest": inference.held_out_largest(fit.law, fit.frames, fit.score),
    }


def as_json(found: list[dict[str, Any]], sources: Sequence[pathlib.Path]) -> str:
    """Returns fit.json: numbers to ten digits, null for what is not known."""
    record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "data_axis": "frames + dataset_frames + demonstration_frames",
        "level": 0.95,
        "tables": [str(path) for path in sources],
        "environments": [
            {**here, "fits": [fit_record(judged) for judged in here["fits"]]}
            for here in found
        ],
    }
    return json.dumps(_plain(record), indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):  # a NamedTuple
        value = value._asdict()
    if hasattr(value, "item") or hasattr(value, "tolist"):  # numpy
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def seeds_per_budget(frames: Any) -> dict[str, int]:
    """Returns how many runs each budget has, by its frames."""
    return {
        f"{budget:.0f}": int((frames == budget).sum()) for budget in sorted(set(frames))
    }
