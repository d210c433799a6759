"""The pod of a served model: locked down, watched, and stopped without losing a request.

Objects are plain dicts in the form of Kubernetes' API (core/v1).
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from pack.images import naming
from pack.images.workload import DRAIN_SECONDS, MODEL_HOME, PYTHON, USER, SecretVariable, Workload

Object: TypeAlias = dict[str, Any]
# Seconds in which a pod that is to stop is still asked, until all nodes know of it.
LEAVE_SECONDS = 5
_STARTUP_PERIOD = 5
_NAMESPACE = "POD_NAMESPACE"
_GPU = "nvidia.com/gpu"


def labels(workload: Workload) -> dict[str, str]:
    """The recommended labels of every object; the version among them where it can be one."""
    version = naming.label_value(workload.version or "")
    return {
        **selector(workload),
        "app.kubernetes.io/component": "model-server",
        "app.kubernetes.io/managed-by": "pack",
        **({"app.kubernetes.io/version": version} if version else {}),
    }


def selector(workload: Workload) -> dict[str, str]:
    """The labels that a pod is known by, which never change."""
    return {"app.kubernetes.io/name": workload.name, "app.kubernetes.io/instance": workload.name}


def facts_of(workload: Workload) -> dict[str, str]:
    """What is served: the model's URI and, where it is certain, its digest."""
    follows = workload.weights is not None and workload.weights.digest is None
    return {
        **({"io.pack.model.uri": workload.model_uri} if workload.model_uri else {}),
        **({} if follows else {"io.pack.model.digest": f"sha256:{workload.digest}"}),
    }


def pod(workload: Workload) -> Object:
    """The template of the pods."""
    scrape = {
        "prometheus.io/scrape": "true",
        "prometheus.io/path": "/metrics",
        "prometheus.io/port": str(workload.port),
    }
    return {
        "metadata": {
            "labels": labels(workload),
            # Where callers need a key, so does who reads the metrics, and these annotations cannot give one.
            "annotations": {**facts_of(workload), **({} if workload.auth else scrape)},
        },
        "spec": _spec(workload),
    }


def _spec(workload: Workload) -> Object:
    fetches = workload.weights is not None
    return {
        "automountServiceAccountToken": False,
        # Otherwise a Service named `pack` would set PACK_PORT in this pod.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": LEAVE_SECONDS + DRAIN_SECONDS + 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **({"initContainers": [fetcher(workload)]} if fetches else {}),
        "containers": [{**server(workload), "lifecycle": _leave()}],
        "volumes": volumes(workload),
        "topologySpreadConstraints": [
            _spread(workload, key) for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ],
        **({"tolerations": tolerations()} if workload.needs.gpus else {}),
    }


def server(workload: Workload) -> Object:
    """The container that serves."""
    port = workload.port
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - a volume of this pod alone
    if workload.weights is not None:
        mounts.append({"name": "model", "mountPath": MODEL_HOME, "readOnly": True})  # type: ignore[dict-item]
    return {
        "name": "model",
        "image": workload.image,
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "env": [*_where(), *variables(workload, hosts=_hosts(workload))],
        "resources": resources(workload),
        **probes(workload, "http"),
        "securityContext": locked_down(),
        "volumeMounts": mounts,
    }


def fetcher(workload: Workload) -> Object:
    """The init container that fetches the model and compares its digest, before anything serves it."""
    return {
        "name": "fetch-model",
        "image": workload.image,
        "command": [naming.literal(word) for word in fetch_command(workload)],
        "env": [
            {"name": "HOME", "value": "/tmp"},  # noqa: S108
            *({"name": name, "value": naming.literal(value)} for name, value in workload.variables),
            *(_secret(one) for one in workload.secrets),
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": locked_down(),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            {"name": "model", "mountPath": MODEL_HOME},
        ],
    }


def fetch_command(workload: Workload) -> list[str]:
    """The command line of the init container; the image's own `pack` runs it."""
    weights = workload.weights
    if weights is None:
        return []
    digest = [] if weights.digest is None else ["--digest", weights.digest]
    return [PYTHON, "-m", "pack", "fetch", "-m", weights.uri, "-o", MODEL_HOME, "--replace", *digest]


def variables(workload: Workload, *, hosts: str, name: str | None = None) -> list[Object]:
    """What the server is told; the user's variables come in the place of ours."""
    needs = workload.needs
    own = {
        "HOME": "/tmp",  # noqa: S108 - the one folder that can be written
        "PACK_HOST": "0.0.0.0",  # noqa: S104 - the address of the pod
        "PACK_PORT": str(workload.port),
        "PACK_MODEL_NAME": name or workload.name,
        "PACK_ALLOWED_HOSTS": hosts,
        "PACK_SERVE_MAX_BODY": str(needs.largest_body),
        "PACK_SERVE_MAX_WAITING_BYTES": str(needs.waiting_bytes),
        "OMP_NUM_THREADS": str(needs.threads),
        **dict(workload.trust),
    }
    given = dict(workload.serving_variables())
    secrets = [_secret(one) for one in workload.serving_secrets()]
    kept = {key: value for key, value in own.items() if key not in given.keys() | {one["name"] for one in secrets}}
    literal = {key: naming.literal(value) for key, value in given.items()}
    return [*({"name": key, "value": value} for key, value in {**kept, **literal}.items()), *secrets]


def resources(workload: Workload) -> Object:
    """What is asked for, and the limit of memory; CPU has none, since a limit only slows down."""
    needs = workload.needs
    gpus = {_GPU: str(needs.gpus)} if needs.gpus else {}
    return {
        "requests": {"cpu": needs.cpu, "memory": needs.memory, **gpus},
        "limits": {"memory": needs.most_memory, **gpus},
    }


def probes(workload: Workload, port: str | int) -> Object:
    """When the pod has started, is to be started anew, and takes requests; health needs no key."""
    tries = math.ceil(workload.needs.start_seconds / _STARTUP_PERIOD)
    return {
        "startupProbe": _probe("/livez", port, period=_STARTUP_PERIOD, timeout=3, failures=tries),
        "livenessProbe": _probe("/livez", port, period=10, timeout=5, failures=6),
        "readinessProbe": _probe("/readyz", port, period=5, timeout=3, failures=2),
    }


def locked_down() -> Object:
    """The rights of a container: none."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def volumes(workload: Workload) -> list[Object]:
    """Room for temporary files, and for the model where it is fetched."""
    found = [{"name": "tmp", "emptyDir": {"sizeLimit": f"{workload.needs.scratch_mib}Mi"}}]
    if workload.weights is not None:
        found.append({"name": "model", "emptyDir": {"sizeLimit": f"{2 * workload.needs.scratch_mib}Mi"}})
    return found


def tolerations() -> list[Object]:
    """Nodes with GPUs often keep away pods that do not say they need one."""
    return [{"key": _GPU, "operator": "Exists", "effect": "NoSchedule"}]


def _leave() -> Object:
    """Take requests for a moment longer: not every node knows at once that this pod is about to stop.

    The newer `sleep` action would do without a process, and clusters before 1.30 refuse it.
    """
    return {"preStop": {"exec": {"command": [PYTHON, "-c", f"import time; time.sleep({LEAVE_SECONDS})"]}}}


def _where() -> list[Object]:
    return [{"name": _NAMESPACE, "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]


def _hosts(workload: Workload) -> str:
    """The names that the Service has in the cluster, and those of the user."""
    inside = f"{workload.name}.$({_NAMESPACE})"
    return " ".join([workload.name, inside, f"{inside}.svc", f"{inside}.svc.cluster.local", *workload.hosts])


def _spread(workload: Workload, key: str) -> Object:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(workload)},
    }


def _probe(path: str, port: str | int, *, period: int, timeout: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def _secret(one: SecretVariable) -> Object:
    return {"name": one.variable, "valueFrom": {"secretKeyRef": {"name": one.secret, "key": one.key}}}
