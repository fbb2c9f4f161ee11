"""A JobSet of Kubernetes, for TPU slices and GPUs of Google Kubernetes Engine."""

import json
import shlex

from launch import cloud_machines
from launch.cloud_task import Task, count, fill

FILE = "gke.yaml"

_JOBSET = """# A JobSet for Google Kubernetes Engine: the sweep below on @TARGET@,
# @MACHINES@ with a pod each, with its output on a volume that they share.
#
# The cluster needs JobSet (jobset.sigs.k8s.io), the Filestore CSI driver
# (--addons=GcpFilestoreCsiDriver), and a node pool:
#   @POOL@
#
# Exit status 75 (interrupted, or a process of another pod has gone), a crash, a lost
# node: all pods are made anew, and the sweep goes on from its last checkpoint. Exit
# status 1 (runs failed: see status.py) or 2 (refused) ends the JobSet. To run it again
# after that, or with other flags, delete it first; the volume stays.
#
# Cost: the nodes for as long as the node pool has them, whether a pod runs or not
# (delete the pool, or let it scale to 0); the volume, of which Filestore's smallest is
# 1 TiB, until the claim is deleted. Delete both with
#   kubectl delete jobset @NAME@
#   kubectl delete pvc @NAME@          # the results too
# @SPOT_NOTE@
#
# Written by launch/cloud.py for JobSet v1alpha2; never run on a cloud.
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: @NAME@
spec:
  accessModes: [ReadWriteMany]
  storageClassName: standard-rwx
  resources:
    requests:
      storage: 1Ti
---
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: @NAME@
  @ANNOTATIONS@
spec:
  failurePolicy:
    maxRestarts: 100
    rules:
      - name: ended
        action: FailJobSet
        onJobFailureReasons: [PodFailurePolicy]
  replicatedJobs:
    - name: slice
      replicas: 1
      template:
        spec:
          parallelism: @COUNT@
          completions: @COUNT@
          completionMode: Indexed
          backoffLimit: 0
          podFailurePolicy:
            rules:
              - action: FailJob
                onExitCodes:
                  containerName: sweep
                  operator: In
                  values: [1, 2]
          template:
            spec:
              restartPolicy: Never
              terminationGracePeriodSeconds: 90
              @NETWORK@
              nodeSelector:
                @SELECTOR@
              containers:
                - name: sweep
                  image: @IMAGE@
                  workingDir: /study
                  command:
                    @COMMAND@
                  env:
                    @ENVIRONMENT@
                  securityContext:
                    @SECURITY@
                  resources:
                    limits:
                      @RESOURCE@: @CHIPS@
                  volumeMounts:
                    @MOUNTS@
              volumes:
                @VOLUMES@
"""

_EXCLUSIVE = """annotations:
  # All pods on one node pool, which is one slice.
  alpha.jobset.sigs.k8s.io/exclusive-topology: cloud.google.com/gke-nodepool"""

_DATA_VOLUME = """- name: data
  persistentVolumeClaim:
    claimName: @NAME@"""

# NCCL's; a pod has 64 MB otherwise.
_MEMORY_VOLUME = """- name: memory
  emptyDir:
    medium: Memory"""


def refuse(task: Task) -> None:
    """Refuses what cannot run on Kubernetes.

    Raises:
      ValueError: saying what is missing.
    """
    if task.image is None:
        raise ValueError(
            "Kubernetes pulls images; give --image, built and pushed with docker build "
            f"--build-arg ACCELERATOR={cloud_machines.extra(task.target)}."
        )


def files(task: Task) -> dict[str, str]:
    """Returns the volume and the JobSet by their file's name."""
    tpu = cloud_machines.is_tpu(task.target)
    spot = (
        "Spot nodes are cheaper, and taken away at any time with 25 seconds of notice."
        if task.spot
        else "Not spot; --spot is cheaper, and nodes may be taken away."
    )
    own = _of_tpu(task) if tpu else _of_gpu(task)
    values = {
        "TARGET": task.target.name,
        "MACHINES": count(task.machines, "node"),
        "POOL": " \\\n#     ".join(_pool(task)),
        "SPOT_NOTE": spot,
        "NAME": task.name,
        "COUNT": str(task.machines),
        "IMAGE": task.image or "",
        "COMMAND": "\n".join(
            f"- {_yaml(word)}" for word in task.command("python", "/data/results")
        ),
        "CHIPS": str(cloud_machines.chips_a_machine(task.target)),
    }
    return {FILE: fill(_JOBSET, values | own)}


def steps(task: Task, folder: str) -> list[str]:
    """Returns what to type, one command a line, with comments."""
    extra = cloud_machines.extra(task.target)
    return [
        f"docker build --build-arg ACCELERATOR={extra} --tag {task.image} .",
        f"docker push {task.image}",
        "# Once, for a cluster that has JobSet and the Filestore CSI driver:",
        " ".join(_pool(task)),
        f"kubectl apply --filename={shlex.quote(folder)}/{FILE}",
        f"kubectl get jobset {task.name}",
        f"kubectl logs --follow --selector=jobset.sigs.k8s.io/jobset-name={task.name}",
        f"# The results: the volume {task.name}",
        "# Stop: delete the JobSet, and the node pool, which is what costs:",
        f"kubectl delete jobset {task.name}",
        f"gcloud container node-pools delete {task.name} --cluster=CLUSTER",
    ]


def _of_tpu(task: Task) -> dict[str, str]:
    selector = {
        "cloud.google.com/gke-tpu-accelerator": (
            cloud_machines.TPUS[task.target.chip.name].label
        ),
        "cloud.google.com/gke-tpu-topology": task.target.topology,
    }
    return {
        "ANNOTATIONS": _EXCLUSIVE,
        "NETWORK": "hostNetwork: true\ndnsPolicy: ClusterFirstWithHostNet",
        "SELECTOR": _selector(task, selector),
        "ENVIRONMENT": _variable("JAX_COMPILATION_CACHE_DIR", "/data/compiled"),
        "SECURITY": "privileged: true # the chips\nrunAsUser: 0 # the volume's owner",
        "RESOURCE": "google.com/tpu",
        "MOUNTS": _mount("data", "/data"),
        "VOLUMES": fill(_DATA_VOLUME, {"NAME": task.name}),
    }


def _of_gpu(task: Task) -> dict[str, str]:
    label = cloud_machines.GPUS[task.target.chip.name].label
    variables = [
        _variable("JAX_COMPILATION_CACHE_DIR", "/data/compiled"),
        # Where GKE puts the driver, which only NVIDIA's own images look for.
        _variable("LD_LIBRARY_PATH", "/usr/local/nvidia/lib64"),
    ]
    mounts = [_mount("data", "/data"), _mount("memory", "/dev/shm")]
    volumes = fill(_DATA_VOLUME, {"NAME": task.name}) + _MEMORY_VOLUME
    return {
        "ANNOTATIONS": "",
        "NETWORK": "",
        "SELECTOR": _selector(task, {"cloud.google.com/gke-accelerator": label}),
        "ENVIRONMENT": "\n".join(variables),
        "SECURITY": "runAsUser: 0 # the volume's owner",
        "RESOURCE": "nvidia.com/gpu",
        "MOUNTS": "\n".join(mounts),
        "VOLUMES": volumes,
    }


def _selector(task: Task, labels: dict[str, str]) -> str:
    if task.spot:
        labels = labels | {"cloud.google.com/gke-spot": "true"}
    return "\n".join(f"{name}: {json.dumps(text)}" for name, text in labels.items())


def _variable(name: str, value: str) -> str:
    return f"- name: {name}\n  value: {value}"


def _mount(name: str, path: str) -> str:
    return f"- name: {name}\n  mountPath: {path}"


def _yaml(word: str) -> str:
    """Returns a word as YAML, of which Kubernetes expands nothing."""
    return json.dumps(word.replace("$(", "$$("), ensure_ascii=False)


def _pool(task: Task) -> list[str]:
    """Returns the command that makes the node pool."""
    target = task.target
    words = [
        f"gcloud container node-pools create {task.name} --cluster=CLUSTER",
        f"--machine-type={cloud_machines.machine_type(target)}",
        f"--num-nodes={task.machines}",
    ]
    if task.zone is not None:
        words.append(f"--node-locations={task.zone}")
    if task.project is not None:
        words.append(f"--project={task.project}")
    if task.machines > 1:
        words.append(f"--tpu-topology={target.topology}")
    if not cloud_machines.is_tpu(target):
        label = cloud_machines.GPUS[target.chip.name].label
        words.append(
            f"--accelerator=type={label},count={target.chips},gpu-driver-version=latest"
        )
    return [*words, "--spot"] if task.spot else words
