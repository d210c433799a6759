"""How an ONNX graph is run: providers and session options, which a model's MLmodel file may name.

ONNX Runtime takes more from there than numbers: places to write to, another folder for a graph's tensors, libraries to
load, addresses in memory. What is on the lists below is none of these; whatever else a model names is code.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from pack.errors import InvalidValue
from pack.flavors.onnx_runtime import onnxruntime

DEFAULT_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_MODES = {"sequential": "ORT_SEQUENTIAL", "parallel": "ORT_PARALLEL"}
_LEVELS = {0: "ORT_DISABLE_ALL", 1: "ORT_ENABLE_BASIC", 2: "ORT_ENABLE_EXTENDED", 99: "ORT_ENABLE_ALL"}
# Entries of a session's config that are numbers and switches.
_ENTRY = re.compile(
    r"(mlas|optimization|session\.(inter_op|intra_op))\.[\w.]+|memory\.enable_memory_arena_shrinkage|"
    r"session\.(allow_released_opsets_only|disable_aot_function_inlining|disable_cpu_ep_fallback|"
    r"disable_double_qdq_remover|disable_prepacking|disable_quant_qdq|dynamic_block_base|enable_quant_qdq_cleanup|"
    r"force_spinning_stop|graph_optimizations_loop_level|intra_op_thread_affinities|qdq_matmulnbits_accuracy_level|"
    r"qdq_matmulnbits_block_size|qdqisint8allowed|set_denormal_as_zero|strict_shape_type_inference|"
    r"use_deterministic_compute|use_device_allocator_for_initializers|use_env_allocators|x64quantprecision)"
)
# The same of providers.
_OF_PROVIDERS = {
    "arena_extend_strategy", "cudnn_conv1d_pad_to_nc1d", "cudnn_conv_algo_search", "cudnn_conv_use_max_workspace",
    "device_id", "do_copy_in_default_stream", "enable_cuda_graph", "enable_skip_layer_norm_strict_mode",
    "fuse_conv_bias", "gpu_mem_limit", "prefer_nhwc", "sdpa_kernel", "trt_bf16_enable",
    "trt_builder_optimization_level", "trt_fp16_enable", "trt_int8_enable", "trt_max_partition_iterations",
    "trt_max_workspace_size", "trt_min_subgraph_size", "tunable_op_enable", "tunable_op_tuning_enable", "use_arena",
    "use_tf32",
}  # fmt: skip


def why_code(providers: Any, options: Any) -> str | None:
    """Why running a graph so could read, write or run what is not the model's; None where it cannot."""
    odd = sorted({*_odd_entries(options), *_odd_settings(providers)})
    shown = ", ".join(f"{name!a:.100}" for name in odd[:5])
    return f"it asks ONNX Runtime for {shown}, which can reach beyond the model" if odd else None


def session_options(given: Any) -> Any:
    """ONNX Runtime's own options from those that are saved; raises `InvalidValue` naming one that is not known."""
    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and int(threads) > 0:
        options.intra_op_num_threads = int(threads)
    for name, value in _mapping(given, "onnx_session_options").items():
        try:
            _set(options, name, value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidValue(
                f"onnx_session_options: {name}={value!r:.60} is not known",
                hint="known: execution_mode, graph_optimization_level, intra_op_num_threads, inter_op_num_threads, "
                "extra_session_config",
            ) from error
    return options


def available(wanted: Any) -> list[Any]:
    """The providers that are here, in the order they are wanted; the CPU at last."""
    here = onnxruntime.get_available_providers()
    given = list(_providers(wanted))
    found = [one for one in given if one[0] in here]
    lost = [name for name, _ in given if name not in here and name not in DEFAULT_PROVIDERS]
    if lost:
        warnings.warn(f"these providers are not available here: {lost}; available: {here}", stacklevel=4)
    if "CPUExecutionProvider" not in {name for name, _ in found}:
        found.append(("CPUExecutionProvider", {}))
    return [(name, settings) if settings else name for name, settings in found]


def _set(options: Any, name: str, value: Any) -> None:
    if name == "execution_mode":
        options.execution_mode = getattr(onnxruntime.ExecutionMode, _MODES[str(value).lower()])
    elif name == "graph_optimization_level":
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, _LEVELS[int(value)])
    elif name in {"intra_op_num_threads", "inter_op_num_threads"}:
        setattr(options, name, int(value))
    elif name == "extra_session_config":
        for key, entry in value.items():
            options.add_session_config_entry(str(key), str(entry))
    else:
        raise KeyError(name)


def _odd_entries(options: Any) -> Iterator[str]:
    entries = _mapping(options, "onnx_session_options").get("extra_session_config")
    for name in _mapping(entries, "extra_session_config"):
        if not _ENTRY.fullmatch(str(name)):
            yield str(name)


def _odd_settings(providers: Any) -> Iterator[str]:
    for _, settings in _providers(providers):
        yield from (str(name) for name in settings if name not in _OF_PROVIDERS)


def _providers(wanted: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of each provider, and its settings; JSON and YAML know no tuples."""
    for one in (wanted if isinstance(wanted, (list, tuple)) else [wanted]) if wanted else DEFAULT_PROVIDERS:
        pair = (one, None) if isinstance(one, str) else one
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise InvalidValue(
                f"{one!a:.60} is no provider of ONNX Runtime", hint="give its name, or its name and a dict of settings"
            )
        yield pair[0], _mapping(pair[1], pair[0])


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise InvalidValue(f"{name} must be a dict, not {value!a:.60}")
    return dict(value or {})
