"""What a Ray cluster is asked for; what needs one is in test_ray_cluster.py."""

import pytest

pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`).")

from launch.executors import ray_executor, ray_gang
from launch.executors.ray_gang import Need

# The extra is there for the slow tests, and not before.
pytestmark = pytest.mark.slow

HEAD = {"CPU": 2.0, "memory": 1e9, "node:10.0.0.1": 1.0, "object_store_memory": 8e7}
HOST = {"CPU": 96.0, "TPU": 4.0, "memory": 1e9, "node:10.0.0.2": 1.0}


def nodes(*resources, alive=True):
    return [{"Alive": alive, "Resources": each} for each in resources]


def need(hosts=1, **resources) -> Need:
    return Need(hosts, {"CPU": 1, **resources}, "launch.worker:start_real_runs")


def test_a_cluster_with_enough_nodes_is_taken():
    ray_executor.check_room(nodes(HEAD), need(), "auto")
    ray_executor.check_room(nodes(HEAD, HOST, HOST), need(2, TPU=4), "auto")


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (nodes(HEAD), need(CPU=3)),
        (nodes(HEAD, HOST), need(2, TPU=4)),
        (nodes(HEAD, HOST), need(GPU=1)),
        (nodes(HEAD) + nodes(HOST, alive=False), need(TPU=4)),
    ],
)
def test_a_cluster_on_which_no_run_could_begin_is_refused(there, wanted):
    with pytest.raises(ValueError, match="start such nodes, or ask for less") as caught:
        ray_executor.check_room(there, wanted, "h:6379")
    assert "the Ray cluster at h:6379 (CPU=2" in str(caught.value)
    assert "memory" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_where_there_is_no_cluster_it_is_a_sentence():
    with pytest.raises(ValueError, match="no Ray cluster to join") as caught:
        ray_executor.execute(
            [],
            lambda event: None,
            parallel=1,
            rules=ray_executor.attempt.Rules(),
            grace_s=1.0,
            need=need(),
            address="auto",
        )
    assert str(caught.value).endswith(".")


def test_cores_of_a_node_are_shared_out_evenly_and_given_back():
    cores = ray_gang.Cores()
    first = cores.take("n", [0, 1, 2, 3], 2)
    second = cores.take("n", [0, 1, 2, 3], 2)
    assert (first, second) == ([0, 1], [2, 3])
    assert cores.take("other", [0, 1], 1) == [0]
    cores.give("n", first)
    assert cores.take("n", [0, 1, 2, 3], 2) == [0, 1]


def test_a_run_on_one_host_is_an_ordinary_workers_and_a_gang_has_followers():
    alone, pair = need(), need(2)
    assert ray_gang._program(alone, 0)[-1] == "launch.worker:start_real_runs"
    assert ray_gang._program(pair, 0)[-1] == "launch.executors.member:start_first"
    assert ray_gang._program(pair, 1) == ["launch.executors.member"]


def test_variables_that_decide_what_a_run_does_reach_every_host():
    variables = {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--a",
        "HOME": "/root",
        "TPU": "1",
    }
    assert ray_gang._carried(variables) == {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--a"}
