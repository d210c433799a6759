"""NumPy arrays as datasets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from pack.data.dataset import Dataset
from pack.data.digests import arrays_digest
from pack.data.schema import TensorDatasetSchema, schema_of
from pack.data.sources import Source
from pack.errors import InvalidValue

if TYPE_CHECKING:
    import numpy as np

    Arrays: TypeAlias = np.ndarray[Any, Any] | Mapping[str, np.ndarray[Any, Any]]

_SIZES = ("shape", "size", "nbytes")


class NumpyDataset(Dataset):
    """An array of features of shape (rows, ...), or a dict of arrays, with targets; they are kept and not copied.

    Raises `InvalidValue` for anything but arrays.
    """

    def __init__(
        self,
        features: Arrays,
        source: Source = None,
        targets: Arrays | None = None,
        name: str | None = None,
        digest: str | None = None,
    ) -> None:
        super().__init__(source, name, digest)
        _check_arrays(features, "features")
        if targets is not None:
            _check_arrays(targets, "targets")
        self._features, self._targets = features, targets

    @property
    def features(self) -> Arrays:
        """The arrays that a model learns from, no copies."""
        return self._features

    @property
    def targets(self) -> Arrays | None:
        """The arrays that a model learns to predict."""
        return self._targets

    @cached_property
    def schema(self) -> TensorDatasetSchema | None:
        """Dtypes and shapes with a free first dimension; None where an array has no tensor type."""
        features = schema_of(self._features)
        targets = None if self._targets is None else schema_of(self._targets)
        known = [one for one in (features, targets) if one is not None and one.is_tensor_spec()]
        if features is None or len(known) != (1 if self._targets is None else 2):
            return None
        return TensorDatasetSchema(features, targets)

    @property
    def profile(self) -> dict[str, Any]:
        """`features_shape`, `features_size`, `features_nbytes`, and the same of the targets; by name for dicts."""
        given = {"features": self._features, "targets": self._targets}
        return {
            f"{name}_{size}": _measured(arrays, size)
            for name, arrays in given.items()
            if arrays is not None
            for size in _SIZES
        }

    def _compute_digest(self) -> str:
        return arrays_digest(self._features, self._targets)


def from_numpy(
    features: Arrays,
    source: Source = None,
    targets: Arrays | None = None,
    name: str | None = None,
    digest: str | None = None,
) -> NumpyDataset:
    """Arrays as a dataset, without a copy; `source` is where they came from: a path, a URI, or this program.

    >>> pack.log_input(from_numpy(features, targets=labels, source="data/digits.npz"), "training")  # doctest: +SKIP
    """
    return NumpyDataset(features, source, targets, name, digest)


def _measured(arrays: Any, size: str) -> Any:
    if isinstance(arrays, Mapping):
        return {name: getattr(array, size) for name, array in arrays.items()}
    return getattr(arrays, size)


def _check_arrays(given: Any, what: str) -> None:
    import numpy as np

    arrays = given if isinstance(given, Mapping) else {what: given}
    if arrays and all(isinstance(name, str) and isinstance(array, np.ndarray) for name, array in arrays.items()):
        return
    raise InvalidValue(
        f"the {what} of a NumPy dataset are an array or a dict of arrays by name, not {type(given).__name__}",
        hint="use numpy.asarray(data)",
    )
