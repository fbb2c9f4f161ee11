"""What names a study and a run, and reading a run's configuration back."""

import dataclasses
import json
import typing

import pytest

from scaling import config, presets


def leaves(settings, path=()):
    """Yields (path, value) of every setting."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, (*path, field.name))
        else:
            yield (*path, field.name), value


def another(declared, value):
    """Returns a value of the declared type that is not `value`."""
    choices = typing.get_args(declared)
    if typing.get_origin(declared) is typing.Literal:
        return next(choice for choice in choices if choice != value)
    if value is None:
        return another(choices[0], choices[0]())
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + type(value)(1)
    if isinstance(value, str):
        return value + "x"
    if choices[-1] is not Ellipsis:  # a tuple of that many
        return (another(choices[0], value[0]), *value[1:])
    return () if value else ("value",)


def declared_type(path):
    kind = config.Settings
    for name in path:
        kind = typing.get_type_hints(kind)[name]
    return kind


def replaced(settings, path, value):
    name, *rest = path
    if rest:
        value = replaced(getattr(settings, name), rest, value)
    return dataclasses.replace(settings, **{name: value})


PATHS = [path for path, _ in leaves(config.Settings())]
CELL = config.Cell(frames=10_000, fraction=0.95, seed=3)


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_every_setting_enters_the_identity(path):
    settings = config.Settings()
    value = dict(leaves(settings))[path]
    other = replaced(settings, path, another(declared_type(path), value))
    assert config.study_hash(settings) != config.study_hash(other)
    assert config.run_id(settings, CELL) != config.run_id(other, CELL)
    assert config.config_hash(settings, CELL) != config.config_hash(other, CELL)


def test_budgets_fractions_and_seeds_do_not_enter_the_study():
    settings = config.Settings(env="jumanji:PacMan-v1")
    study = config.study_hash(settings)
    assert config.run_id(settings, CELL) == f"jumanji_PacMan_v1-10000-f0.95-s3-{study}"


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": 10_001},
        {"fraction": 0.9500001},
        {"seed": 4},
        {"searches": 200_000},
        {"fraction": 0.0, "control_for": 0.95},
    ],
)
def test_every_part_of_a_cell_names_the_run(changes):
    settings, other = config.Settings(), dataclasses.replace(CELL, **changes)
    assert config.run_id(settings, CELL) != config.run_id(settings, other)
    assert config.config_hash(settings, CELL) != config.config_hash(settings, other)


def test_numbers_mean_what_was_written():
    assert config.exact(0.95) * 20 == 19
    assert 1 - config.exact(0.9998) == config.exact(0.0002)


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_preset_survives_json(name):
    settings = presets.preset(name).settings
    values = json.loads(json.dumps(config.as_dict(settings)))
    again = config.settings_from_dict(values)
    assert again == settings
    assert config.study_hash(again) == config.study_hash(settings)


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_preset_has_the_types_that_flags_give(name):
    """An integer where a flag gives a float would name another study."""
    settings = presets.preset(name).settings
    whole = [path for path, value in leaves(settings) if type(value) is int]
    assert all(declared_type(path) is int for path in whole)


def test_an_unknown_preset_is_refused_with_the_names():
    with pytest.raises(ValueError, match="'huge'; choose one of paper, demo"):
        presets.preset("huge")


def write_config(directory, **changes):
    values = {"settings": config.as_dict(config.Settings()), "cell": vars(CELL)}
    (directory / "config.json").write_text(json.dumps(values | changes))


def test_a_runs_configuration_is_read_back(tmp_path):
    write_config(tmp_path)
    assert config.load_config(tmp_path) == (config.Settings(), CELL)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not the directory of a run"):
        config.load_config(tmp_path / "nowhere")


def test_a_configuration_of_another_version_is_refused_with_the_names(tmp_path):
    settings = config.as_dict(config.Settings())
    settings["learner"]["momentum"] = settings["learner"].pop("batch_size")
    write_config(tmp_path, settings=settings)
    with pytest.raises(ValueError, match=r"learner.batch_size, learner.momentum"):
        config.load_config(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"settings": 3, "cell": {}}', "\xff"])
def test_a_damaged_configuration_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match="damaged or of another version"):
        config.load_config(tmp_path)
