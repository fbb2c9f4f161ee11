"""Imports go one way: each layer uses only the layers listed before it."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parents[1]
LAYERS = [
    {"scaling.types", "scaling.config", "scaling.hardware"},
    {
        "scaling.execution",
        "scaling.lease_entries",
        "scaling.mixing",
        "scaling.peers",
        "scaling.presets",
        "scaling.selection",
    },
    {
        "scaling.accounting",
        "scaling.checkpoint",
        "scaling.ledger",
        "scaling.lease",
        "scaling.meeting",
        "scaling.npy",
        "scaling.results",
        "scaling.rings",
        "scaling.sharding",
        "scaling.snapshots",
        "scaling.stages",
        "scaling.targets",
        "scaling.tracking",
    },
    {
        "scaling.buckets",
        "scaling.layout",
        "scaling.envs",
        "scaling.datasets",
        "scaling.agent",
    },
    {"scaling.search", "scaling.replay", "scaling.operations"},
    {"scaling.reanalyse", "scaling.looking"},
    {"scaling.learner"},
    {"scaling.evaluate", "scaling.recording"},
    {
        "scaling.run_state",
        "scaling.playing",
        "scaling.video",
        "scaling.groups",
        "scaling.borrowed",
    },
    {"scaling.batches", "scaling.collecting"},
    {"scaling.iteration"},
    {"scaling.saving", "scaling.log"},
    {"scaling.device_loop", "scaling.host_loop"},
    {"scaling.loops"},
    {"scaling.search_time"},
    {"scaling.training"},
    {"scaling.run", "scaling.lowering"},
    {"scaling.compiling", "scaling.packing", "scaling.recorded"},
    {"launch", "analysis"},
]
JAX_LATE = {"jax", "flax", "optax", "mctx", "jumanji", "gymnasium", "ale_py"}


def rank(module: str) -> int | None:
    for index, layer in enumerate(LAYERS):
        if any(module == name or module.startswith(name + ".") for name in layer):
            return index
    return None


def imported_modules(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def modules(*folders: str) -> dict[str, ast.Module]:
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(
            path.read_text()
        )
        for path in paths
    }


def test_imports_point_down_the_layers():
    upward = []
    for module, tree in modules("scaling", "launch", "analysis").items():
        parts = module.split(".")
        package = ".".join(parts[: 2 if parts[0] == "scaling" else 1])
        for name in imported_modules(tree):
            here, there = rank(module), rank(name)
            if here is None or there is None or name.startswith(package + "."):
                continue
            if there >= here:
                upward.append(f"{module} imports {name}")
    assert not upward


def test_every_module_of_scaling_has_a_layer():
    without = [
        module
        for module in modules("scaling")
        if rank(module) is None and not module.endswith("__init__")
    ]
    assert not without, "place them in LAYERS"


def test_analysis_reads_results_wherever_they_are_and_nothing_else_of_scaling():
    """Rows, and with gs:// and s3:// the buckets that they are in."""
    used = {
        name
        for tree in modules("analysis").values()
        for name in imported_modules(tree)
        if name.startswith("scaling")
    }
    readers = {"scaling.buckets.flags", "scaling.buckets.mirror"}
    assert all(name.startswith("scaling.results") for name in used - readers)


def test_commands_import_nothing_that_loads_jax_at_the_top():
    early = [
        f"{module} imports {name}"
        for module, tree in modules("launch").items()
        for statement in tree.body
        for name in imported_modules_of(statement)
        if name.split(".")[0] in JAX_LATE or name.startswith("scaling.run")
    ]
    assert not early


def imported_modules_of(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return imported_modules(statement)
    return set()
