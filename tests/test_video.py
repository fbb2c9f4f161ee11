"""A video shows episode 0 of the score, whole, in every format, or says why not."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageSequence

from scaling import config, loops, types, video
from scaling.agent import model as models
from scaling.envs import gymnasium, interface, pictures

WIDTH = 9


class Walk:
    """Cells on a line: walls, player; each step right gives what the key drew."""

    kind = "device"
    spec = types.EnvSpec("walk", 2, (3, WIDTH, 2), np.uint8, 1.0, 1)

    def __init__(self, protocol):
        del protocol

    def reset(self, keys):
        gift = jax.vmap(lambda key: jax.random.randint(key, (), 1, 100))(keys)
        place = jnp.zeros_like(gift)
        return (place, gift), self.planes(place)

    def step(self, state, action):
        place, gift = state
        place = place + 1 + action
        ended = place >= WIDTH - 1
        return (place, gift), interface.Transition(
            self.planes(jnp.minimum(place, WIDTH - 1)),
            gift.astype(jnp.float32),
            ended,
            jnp.zeros_like(ended),
        )

    def planes(self, place):
        walls = jnp.zeros((place.shape[0], 3, WIDTH), jnp.uint8).at[:, ::2].set(1)
        player = jnp.zeros_like(walls)
        player = player.at[jnp.arange(place.shape[0]), 1, place].set(1)
        return jnp.stack([walls, player], axis=-1)


class HostWalk:
    """The same on the host: an image, or a vector with a picture of its own."""

    kind = "host"
    spec = types.EnvSpec("walk", 2, (3, WIDTH, 1), np.uint8, 255.0, 1)

    def __init__(self, protocol, size):
        del protocol
        self.size = size
        self._place = np.zeros(size, int)
        self._gift = np.zeros(size)

    def reset(self, rows, seeds):
        self._place[list(rows)] = 0
        self._gift[list(rows)] = [np.random.default_rng(s).integers(99) for s in seeds]
        return self.seen(rows)

    def step(self, rows, action):
        rows = list(rows)
        self._place[rows] = np.minimum(self._place[rows] + 1 + action, WIDTH - 1)
        ended = self._place[rows] == WIDTH - 1
        reward = self._gift[rows].astype(np.float32)
        return interface.Transition(self.seen(rows), reward, ended, ended & False)

    def seen(self, rows) -> np.ndarray:
        return np.stack([self.image(row) for row in rows])

    def image(self, row):
        picture = np.zeros((3, WIDTH, 1), np.uint8)
        picture[1, self._place[row]] = 200
        return picture

    def close(self):
        pass


class VectorWalk(HostWalk):
    spec = types.EnvSpec("walk", 2, (1,), np.float32, 1.0, 1)

    def seen(self, rows) -> np.ndarray:
        return self._place[list(rows), None].astype(np.float32)


class DrawnWalk(VectorWalk):
    def render(self, row):
        return np.repeat(self.image(row), 3, axis=2)


def settings_for(name):
    return config.Settings(
        env=f"{__name__}:{name}",
        protocol=config.Protocol(stack=2, past_actions=1),
        network=config.Network(kind="mlp", units=8, blocks=1, head_units=8),
        value=config.Value(bins=11, limit=2.0),
        search=config.Search(policy="gumbel", simulations=2),
        evaluation=config.Evaluation(episodes=4),
    )


def filmed(name, seed=5, episodes=6):
    """Returns the film of a network just begun, and the returns of its evaluation."""
    settings = settings_for(name)
    play, spec = loops.evaluation(settings)
    params = models.make_model(spec, settings).init(jax.random.key(0))
    film = video.film(loops.first_episode(settings)(params, seed, episodes), spec)
    return film, play(params, seed, episodes)


@pytest.mark.parametrize("name", ["Walk", "HostWalk", "DrawnWalk"])
def test_the_film_is_episode_0_of_the_score(name):
    film, returns = filmed(name)
    assert film.total == returns[0]
    assert len(set(returns)) > 1
    steps = len(film.pictures) - 1
    assert WIDTH // 2 <= steps < WIDTH
    # The player is seen in every picture and ends at the right.
    brightest = [int(shot[1].sum(axis=-1).argmax()) for shot in film.pictures]
    assert brightest == sorted(set(brightest))
    assert (brightest[0], brightest[-1]) == (0, WIDTH - 1)


@pytest.mark.parametrize("suffix", list(video.FORMATS))
def test_every_format_opens_with_a_frame_a_step_and_one_before(tmp_path, suffix):
    shots = [pictures.board(np.eye(4)[None, :, [k]]) for k in range(4)]
    path = tmp_path / "deep" / f"film{suffix}"
    video.write(path, shots)
    with Image.open(path) as image:
        assert sum(1 for _ in ImageSequence.Iterator(image)) == len(shots)
        assert min(image.size) >= video.SIDE
        for shot in range(4):
            image.seek(shot)
            row = np.asarray(image.convert("RGB"))[0]
            assert int(row.sum(axis=-1).argmax()) * 4 // image.size[0] == shot
            assert tuple(row.max(axis=0)) == pictures.colour(0)
        durations = {".gif": 60}.get(suffix, video.MILLISECONDS)
        image.seek(1)
        image.load()
        assert image.info["duration"] == pytest.approx(durations)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_other_suffixes_and_directories_are_refused(tmp_path):
    for name in ("film.mp4", "film"):
        with pytest.raises(ValueError, match=r"suffixes \.gif, \.webp, \.png\.$"):
            video.check(tmp_path / name)
    (tmp_path / "made.gif").mkdir()
    with pytest.raises(ValueError, match="is a directory"):
        video.check(tmp_path / "made.gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file is a file"):
        video.check(tmp_path / "file" / "film.gif")
    video.check(tmp_path / "new" / "film.PNG")


def test_a_vector_without_a_picture_is_refused():
    with pytest.raises(ValueError, match="are vectors, of which there is no video"):
        filmed("VectorWalk")


def test_gymnasium_draws_itself_or_says_what_is_missing():
    env = gymnasium.GymnasiumEnvironment("CartPole-v1", config.Protocol(), 1)
    env.reset([0], [0])
    if importlib.util.find_spec("pygame") is None:
        with pytest.raises(ValueError, match="pip install pygame"):
            env.render(0)
    else:
        picture = env.render(0)
        assert picture is not None
        assert (picture.shape, picture.dtype) == ((400, 600, 3), np.uint8)
