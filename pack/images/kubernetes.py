"""The objects that run a model in a Kubernetes cluster: Deployment, Service, autoscaler, disruption budget.

APIs: apps/v1, v1, autoscaling/v2 (from 1.23), policy/v1 (from 1.21; `unhealthyPodEvictionPolicy` from 1.27).
"""

from __future__ import annotations

from pack.images.pods import LEAVE_SECONDS, Object, facts_of, labels, pod, selector
from pack.images.workload import Workload

SERVICE_PORT = 80
_BUSY_PERCENT = 70


def objects(workload: Workload) -> list[Object]:
    """All objects of a workload, in the order in which they may be applied."""
    scaled = [] if workload.replicas.fixed is not None else [autoscaler(workload)]
    return [deployment(workload), service(workload), *scaled, disruption_budget(workload)]


def metadata(workload: Workload) -> Object:
    """The name of an object, where it goes, and what it is about."""
    return {
        "name": workload.name,
        **({"namespace": workload.namespace} if workload.namespace else {}),
        "labels": labels(workload),
        "annotations": facts_of(workload),
    }


def deployment(workload: Workload) -> Object:
    """The pods; without a number of them where an autoscaler says how many, which each apply would undo."""
    fixed = workload.replicas.fixed
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(workload),
        "spec": {
            **({} if fixed is None else {"replicas": fixed}),
            "revisionHistoryLimit": 5,
            "progressDeadlineSeconds": max(600, 2 * workload.needs.start_seconds + LEAVE_SECONDS),
            "selector": {"matchLabels": selector(workload)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": pod(workload),
        },
    }


def service(workload: Workload) -> Object:
    """One address for all pods, inside the cluster."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(workload),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(workload),
            "ports": [
                {
                    "name": "http",
                    "port": SERVICE_PORT,
                    "targetPort": "http",
                    "protocol": "TCP",
                    "appProtocol": "http",
                }
            ],
        },
    }


def autoscaler(workload: Workload) -> Object:
    """More pods within a quarter of a minute where they are busy, fewer one by one after five calm minutes."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(workload),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name},
            "minReplicas": workload.replicas.least,
            "maxReplicas": workload.replicas.most,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": _BUSY_PERCENT},
                    },
                }
            ],
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 0,
                    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": 300,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                },
            },
        },
    }


def disruption_budget(workload: Workload) -> Object:
    """One pod at a time may be taken away: a drain of nodes is never held up, not by a single pod, nor a broken one."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(workload),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(workload)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
