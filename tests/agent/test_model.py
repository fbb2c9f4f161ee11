"""Models have the shapes, the bounds and the inputs that the papers state."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scaling import config, types
from scaling.agent import act, model, value_transform

SPECS = {
    "image": types.EnvSpec("i", 3, (96, 96, 3), np.uint8, 255.0, 4),
    "small image": types.EnvSpec("s", 3, (32, 32, 3), np.uint8, 255.0, 4),
    "board": types.EnvSpec("b", 5, (15, 15, 6), np.uint8, 1.0, 1),
    "vector": types.EnvSpec("v", 2, (4,), np.float32, 1.0, 1),
}
SMALL = config.Network(planes=8, units=16, blocks=1, head_units=8)


def settings_for(kind):
    return config.Settings(
        network=dataclasses.replace(SMALL, kind=kind),
        value=config.Value(bins=21, limit=10.0),
        protocol=config.Protocol(stack=2, past_actions=3),
    )


def history_of(spec, batch=2):
    shape = (batch, 2, *spec.observation_shape)
    observations = jnp.ones(shape, spec.observation_dtype)
    return types.History(observations, jnp.zeros((batch, 3), jnp.int32))


def unrolled_once(spec, settings):
    networks = model.make_model(spec, settings)
    step = model.dynamics_of(networks)

    @jax.jit
    def unroll(key, history):
        params = networks.init(key)
        hidden = networks.represent(params, history)
        following = step(params, hidden, jnp.array([0, 1]))
        reward = networks.reward(params, following)
        return hidden, following, reward, networks.predict(params, following)

    return unroll(jax.random.key(0), history_of(spec))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("residual", "small image"),
        ("residual", "vector"),
        ("convolutional", "board"),
        ("mlp", "board"),
        ("mlp", "vector"),
    ],
)
def test_networks_have_the_right_shapes_and_hidden_range(kind, name):
    spec = SPECS[name]
    hidden, following, reward, prediction = unrolled_once(spec, settings_for(kind))

    assert following.shape == hidden.shape
    assert reward.shape == prediction.value_logits.shape == (2, 21)
    assert prediction.policy_logits.shape == (2, spec.num_actions)
    for state in (hidden, following):
        assert float(state.min()) >= 0
        assert float(state.max()) <= 1 + 1e-5


def test_the_paper_downsamples_96_to_6():
    networks = model.make_model(SPECS["image"], settings_for("residual"))
    params = jax.eval_shape(networks.init, jax.random.key(0))
    hidden = jax.eval_shape(networks.represent, params, history_of(SPECS["image"]))
    assert hidden.shape == (2, 6, 6, 8)


def test_a_convolutional_network_refuses_vectors():
    with pytest.raises(ValueError, match=r"--network\.kind"):
        model.make_model(SPECS["vector"], settings_for("convolutional"))


def test_a_new_network_is_neutral():
    settings = settings_for("mlp")
    *_, prediction = unrolled_once(SPECS["vector"], settings)
    np.testing.assert_array_equal(prediction.policy_logits, 0)
    value = value_transform.decode(prediction.value_logits, settings.value)
    np.testing.assert_allclose(value, 0, atol=1e-5)


def test_encoded_images_are_scaled_stacked_and_followed_by_action_planes():
    spec = types.EnvSpec("i", 4, (2, 2, 1), np.uint8, 255.0, 4)
    observations = jnp.array([0, 255], jnp.uint8).reshape(1, 2, 1, 1, 1)
    observations = jnp.broadcast_to(observations, (1, 2, 2, 2, 1))
    history = types.History(observations, jnp.array([[-1, 3]]))
    encoded = model.encode_history(history, spec)
    np.testing.assert_allclose(encoded[0, 0, 0], [0, 1, 0, 1])
    np.testing.assert_array_equal(encoded[0, 0, 0], encoded[0, 1, 1])


def test_different_actions_lead_to_different_states():
    _, following, _, _ = unrolled_once(SPECS["vector"], settings_for("mlp"))
    assert float(jnp.abs(following[0] - following[1]).max()) > 1e-3


def test_a_history_keeps_the_newest_last():
    protocol = config.Protocol(stack=3, past_actions=2)
    history = act.begin(np.array([[1.0], [2.0]], np.float32), protocol)
    np.testing.assert_array_equal(history.observations[0, :, 0], [0, 0, 1])
    np.testing.assert_array_equal(history.actions[0], [-1, -1])
    history = act.follow(history, jnp.array([1, 0]), jnp.array([[5.0], [6.0]]))
    np.testing.assert_array_equal(history.observations[1, :, 0], [0, 2, 6])
    np.testing.assert_array_equal(history.actions[0], [-1, 1])


def test_flops_of_a_dense_network_follow_from_its_weights():
    spec, settings = SPECS["vector"], settings_for("mlp")
    networks = model.make_model(spec, settings)
    flops = model.row_flops(networks, spec, settings.protocol)
    weights = (16 + 2) * 16 + 16 * 16 + 16 * 8 + 8 * 21  # dynamics' matrices
    assert 2 * weights <= flops.dynamics <= 2 * 2 * weights
