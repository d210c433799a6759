"""The load of this machine while a run is open: processors, memory, disk, network, and GPUs of NVIDIA.

Names are MLflow's: `system/cpu_utilization_percentage` and its kin, `system/NODE/...` where a node is named. A point is
the mean over some samples, its step a counter that goes on where a run is gone on with.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from pack import settings
from pack.errors import InvalidValue, PackError
from pack.plugins import missing
from pack.tracking import Metric

_MEGA = 1e6
# What was chosen by the verbs below; None where the settings decide.
_chosen: dict[str, Any] = {"enabled": None, "interval": None, "samples": None, "node": None}


def enable_system_metrics_logging() -> None:
    """Record the load of this machine in the runs that are started from now on.

    >>> enable_system_metrics_logging()
    """
    _chosen["enabled"] = True


def disable_system_metrics_logging() -> None:
    """Record the load of this machine no more, unless a run asks for it.

    >>> disable_system_metrics_logging()
    """
    _chosen["enabled"] = False


def set_system_metrics_sampling_interval(interval: float | None) -> None:
    """Seconds between two samples of the runs that are started from now on; None is the setting's, 10.

    >>> set_system_metrics_sampling_interval(1)
    """
    if interval is not None and not 0 < float(interval) < float("inf"):
        raise InvalidValue(f"the interval must be a number of seconds above 0, not {interval!a}")
    _chosen["interval"] = None if interval is None else float(interval)


def set_system_metrics_samples_before_logging(samples: int | None) -> None:
    """How many samples one point is the mean of; None is the setting's, 1.

    >>> set_system_metrics_samples_before_logging(6)
    """
    if samples is not None and (isinstance(samples, bool) or not isinstance(samples, int) or samples < 1):
        raise InvalidValue(f"a point is the mean of 1 sample or more, not of {samples!a}")
    _chosen["samples"] = samples


def set_system_metrics_node_id(node_id: str | None) -> None:
    """Put a machine's name into the names of its metrics, for runs that span several machines.

    >>> set_system_metrics_node_id("worker-3")
    """
    _chosen["node"] = node_id


def wanted(asked: bool | None) -> bool:
    """Whether a new run records the load: as it asks, else as was chosen, else as the settings say."""
    if asked is not None:
        return asked
    return settings.system_metrics() if _chosen["enabled"] is None else bool(_chosen["enabled"])


def ready() -> None:
    """Raise `MissingPackage` where the load of this machine cannot be read."""
    _psutil()


def monitor(log: Callable[[list[Metric]], None], first_step: int) -> Monitor:
    """What will record the load through `log`; raises `MissingPackage` without psutil."""
    node = _chosen["node"] or settings.system_metrics_node()
    return Monitor(
        log,
        first_step=first_step,
        interval=_chosen["interval"] or settings.system_metrics_interval(),
        samples=_chosen["samples"] or settings.system_metrics_samples(),
        prefix=f"system/{node}/" if node else "system/",
    )


class Monitor:
    """A thread that takes samples until it is stopped; a store that refuses ends it, never the training."""

    def __init__(
        self, log: Callable[[list[Metric]], None], *, first_step: int, interval: float, samples: int, prefix: str
    ) -> None:
        self._log, self._step = log, first_step
        self._interval, self._size, self._prefix = interval, max(samples, 1), prefix
        self._machine = Machine()
        self._samples: list[Mapping[str, float]] = []
        self._points = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pack-system-metrics", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Record what was not recorded yet, and end; even a short run has one point."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        try:
            while not self._over.wait(self._interval):
                self._samples.append(self._machine.sample())
                if len(self._samples) >= self._size:
                    self._record()
            if not self._points and not self._samples:
                self._samples.append(self._machine.sample())
            self._record()
        except PackError:
            return

    def _record(self) -> None:
        """One point of each name: the mean of the samples since the last."""
        if not self._samples:
            return
        names = dict.fromkeys(name for sample in self._samples for name in sample)
        now = time.time_ns() // 1_000_000
        means = {name: _mean([sample[name] for sample in self._samples if name in sample]) for name in names}
        self._log([Metric(f"{self._prefix}{name}", value, now, self._step) for name, value in means.items()])
        self._samples.clear()
        self._points += 1
        self._step += 1


class Machine:
    """Reads the load of this machine; what its network did is counted from here on."""

    def __init__(self) -> None:
        self._psutil = _psutil()
        self._psutil.cpu_percent()  # the first answer means nothing: it is measured from the call before
        self._network = self._psutil.net_io_counters()
        self._gpus = _gpus()

    def sample(self) -> dict[str, float]:
        """The load now, by name."""
        psutil = self._psutil
        memory, disk, network = psutil.virtual_memory(), psutil.disk_usage("."), psutil.net_io_counters()
        found = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / _MEGA,
            "system_memory_usage_percentage": memory.used / memory.total * 100,
            "disk_usage_percentage": disk.percent,
            "disk_usage_megabytes": disk.used / _MEGA,
            "disk_available_megabytes": disk.free / _MEGA,
        }
        if network and self._network:  # a sandbox may have no network at all
            found["network_receive_megabytes"] = (network.bytes_recv - self._network.bytes_recv) / _MEGA
            found["network_transmit_megabytes"] = (network.bytes_sent - self._network.bytes_sent) / _MEGA
        for place, gpu in enumerate(self._gpus):
            found |= {f"gpu_{place}_{name}": value for name, value in _gpu_load(gpu).items()}
        return found


def _psutil() -> ModuleType:
    try:
        import psutil
    except ImportError as error:
        raise missing("psutil", "'packml[system]'") from error
    found: ModuleType = psutil
    return found


def _gpus() -> list[Any]:
    """NVIDIA's devices; none where there is no driver, or no binding to it."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(place) for place in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []


def _gpu_load(gpu: Any) -> dict[str, float]:
    """What a device says of itself; what it does not know is left out."""
    import pynvml

    found: dict[str, float] = {}
    for read in (_gpu_memory, _gpu_use, _gpu_power):
        try:
            found |= read(pynvml, gpu)
        except pynvml.NVMLError:
            continue
    return found


def _gpu_memory(pynvml: Any, gpu: Any) -> dict[str, float]:
    memory = pynvml.nvmlDeviceGetMemoryInfo(gpu)
    return {
        "memory_usage_percentage": memory.used / memory.total * 100,
        "memory_usage_megabytes": memory.used / _MEGA,
    }


def _gpu_use(pynvml: Any, gpu: Any) -> dict[str, float]:
    return {"utilization_percentage": float(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu)}


def _gpu_power(pynvml: Any, gpu: Any) -> dict[str, float]:
    used, limit = pynvml.nvmlDeviceGetPowerUsage(gpu), pynvml.nvmlDeviceGetEnforcedPowerLimit(gpu)
    return {"power_usage_watts": used / 1000, "power_usage_percentage": used / limit * 100}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
