"""What the clouds' tools accept, as published, and a check against it."""

import json
import pathlib
import re
from typing import Any

SCHEMAS = json.loads(pathlib.Path(__file__).with_name("cloud_schemas.json").read_text())
# Flags in the synopsis of `gcloud COMMAND --help`, Google Cloud SDK 528.0.0.
GCLOUD = {
    "compute tpus queued-resources create": {
        *("zone", "runtime-version", "accelerator-type", "topology", "type", "node-id"),
        *("node-count", "node-prefix", "async", "data-disk", "description"),
        *("guaranteed", "internal-ips", "labels", "metadata", "metadata-from-file"),
        *("network", "range", "reserved", "scopes", "service-account", "spot"),
        *("shielded-secure-boot", "subnetwork", "tags", "valid-after-duration"),
        *("valid-after-time", "valid-until-duration", "valid-until-time"),
    },
    "compute tpus queued-resources delete": {"zone", "async", "force"},
    "compute tpus queued-resources describe": {"zone"},
    "compute tpus tpu-vm ssh": {"zone", "worker", "command", "internal-ip", "dry-run"},
    "container node-pools create": {
        *("cluster", "machine-type", "num-nodes", "node-locations", "tpu-topology"),
        *("accelerator", "spot", "location", "enable-autoscaling"),
    },
    "container node-pools delete": {"cluster", "location"},
    "storage cp": {"recursive"},
    "storage rsync": {
        *("recursive", "continue-on-error", "exclude", "dry-run", "checksums-only"),
        "delete-unmatched-destination-objects",
    },
    "auth configure-docker": {"include-artifact-registry"},
}
EVERYWHERE = {"project", "quiet", "format"}
_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def faults(value: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    """Returns what a value breaks of a JSON schema, of the keywords used here."""
    if "anyOf" in schema:
        tries = [faults(value, each, at) for each in schema["anyOf"]]
        if all(tries):
            return tries[0]
    found = [f"{at} is {value!r}: {why}" for why in _own(value, schema)]
    if isinstance(value, dict):
        for name, inner in value.items():
            found += _member(name, inner, schema, at)
    if isinstance(value, list):
        for number, inner in enumerate(value):
            found += faults(inner, schema.get("items", {}), f"{at}[{number}]")
    return found


def _member(name: str, value: Any, schema: dict[str, Any], at: str) -> list[str]:
    others = schema.get("additionalProperties", {})
    rule = schema.get("properties", {}).get(name, others)
    if rule is False:
        return [f"{at}.{name} is unknown"]
    return faults(value, rule, f"{at}.{name}")


def _own(value: Any, schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    right = any(
        isinstance(value, _TYPES[kind])
        and (kind == "boolean" or not isinstance(value, bool))
        for kind in kinds
    )
    if kinds and not right:
        return [f"not {kinds}"]
    broken = []
    if "enum" in schema and value not in schema["enum"]:
        broken.append(f"not of {schema['enum']}")
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        broken.append(f"not {schema['pattern']}")
    if isinstance(value, dict):
        missing = set(schema.get("required", [])) - set(value)
        broken += [f"lacks {name}" for name in sorted(missing)]
    if isinstance(value, list) and len(value) > schema.get("maxItems", len(value)):
        broken.append("too long")
    if isinstance(value, int) and value < schema.get("minimum", value):
        broken.append("too small")
    if isinstance(value, int) and value > schema.get("maximum", value):
        broken.append("too large")
    return broken


def gcloud_faults(words: list[str]) -> list[str]:
    """Returns the flags of a gcloud command, without `gcloud`, that it has not."""
    name = next((n for n in GCLOUD if words[: len(n.split())] == n.split()), None)
    if name is None:
        return [f"unknown: {words}"]
    flags = {w[2:].partition("=")[0] for w in words if w.startswith("--")}
    return sorted(flags - GCLOUD[name] - EVERYWHERE)
