"""The objects that run a model under KServe: a ServingRuntime of our image, and an InferenceService that uses it.

The server speaks the Open Inference Protocol v2. KServe fills in `{{.Name}}` and `{{.Namespace}}` from the
InferenceService, wherever they stand in the container, and puts what lies at `storageUri` into `/mnt/models`.
APIs: serving.kserve.io/v1alpha1 and v1beta1 (KServe 0.21).
"""

from __future__ import annotations

from pack.errors import InvalidValue
from pack.images.kubernetes import metadata
from pack.images.pods import Object, locked_down, probes, resources, tolerations, variables, volumes
from pack.images.workload import MODEL_HOME, Workload

STORAGE_HOME = "/mnt/models"
_NAME, _NAMESPACE = "{{.Name}}", "{{.Namespace}}"


def objects(workload: Workload) -> list[Object]:
    """Both objects; raises `InvalidValue` for what KServe would take for one of its templates."""
    if workload.weights is not None:
        raise InvalidValue(
            "KServe fetches models in its own way", hint="give --storage-uri, such as s3://bucket/churn, not --fetch"
        )
    for name, value in workload.variables:
        if "{{" in value or "}}" in value:
            raise InvalidValue(
                f"the value of {name} holds braces that KServe would fill in", hint="keep it in a Secret: --secret-env"
            )
    return [serving_runtime(workload), inference_service(workload)]


def serving_runtime(workload: Workload) -> Object:
    """Our image as a runtime for the formats `mlflow` and `pack`."""
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": metadata(workload),
        "spec": {
            "annotations": {
                "prometheus.kserve.io/port": str(workload.port),
                "prometheus.kserve.io/path": "/metrics",
            },
            # An image holds the environment of one model: it is chosen by name, never for any model of the format.
            "supportedModelFormats": [
                {"name": "mlflow", "version": "2", "autoSelect": False},
                {"name": "pack", "version": "1", "autoSelect": False},
            ],
            "protocolVersions": ["v2"],
            "multiModel": False,
            "containers": [_container(workload)],
            "volumes": volumes(workload),
            **({"tolerations": tolerations()} if workload.needs.gpus else {}),
        },
    }


def inference_service(workload: Workload) -> Object:
    """The model: in the image, or where `storageUri` says."""
    replicas = workload.replicas
    fixed = replicas.fixed
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata(workload),
        "spec": {
            "predictor": {
                "minReplicas": replicas.least if fixed is None else fixed,
                "maxReplicas": replicas.most if fixed is None else fixed,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "model": {
                    "modelFormat": {"name": "mlflow"},
                    "runtime": workload.name,
                    "protocolVersion": "v2",
                    **({"storageUri": workload.storage_uri} if workload.storage_uri else {}),
                    # KServe lays its own defaults over those of a runtime where these are missing.
                    "resources": resources(workload),
                },
            }
        },
    }


def _container(workload: Workload) -> Object:
    """The container under the name that KServe looks for; Knative refuses hooks, and other names of a port."""
    home = STORAGE_HOME if workload.storage_uri else MODEL_HOME
    hosts = " ".join([*_hosts(), *workload.hosts])
    return {
        "name": "kserve-container",
        "image": workload.image,
        "ports": [{"containerPort": workload.port, "protocol": "TCP"}],
        "env": [{"name": "PACK_MODEL_URI", "value": home}, *variables(workload, hosts=hosts, name=_NAME)],
        "resources": resources(workload),
        **probes(workload, workload.port),
        "securityContext": locked_down(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - a volume of this pod alone
    }


def _hosts() -> list[str]:
    """The names inside the cluster of the InferenceService and of its predictor."""
    return [
        f"{_NAME}{part}.{_NAMESPACE}{end}" for part in ("", "-predictor") for end in ("", ".svc", ".svc.cluster.local")
    ]
