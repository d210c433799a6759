"""`pack.entities`: what stores hold, under the names that MLflow gives them."""

from __future__ import annotations

from pack.artifacts.store import FileInfo as FileInfo
from pack.registry.entities import AliasMove as AliasMove
from pack.registry.entities import ModelVersion as ModelVersion
from pack.registry.entities import RegisteredModel as RegisteredModel
from pack.tracking.entities import Dataset as Dataset
from pack.tracking.entities import DatasetInput as DatasetInput
from pack.tracking.entities import Experiment as Experiment
from pack.tracking.entities import InputTag as InputTag
from pack.tracking.entities import LoggedModel as LoggedModel
from pack.tracking.entities import LoggedModelInput as LoggedModelInput
from pack.tracking.entities import LoggedModelOutput as LoggedModelOutput
from pack.tracking.entities import Metric as Metric
from pack.tracking.entities import Param as Param
from pack.tracking.entities import Run as Run
from pack.tracking.entities import RunData as RunData
from pack.tracking.entities import RunInfo as RunInfo
from pack.tracking.entities import RunInputs as RunInputs
from pack.tracking.entities import RunOutputs as RunOutputs
from pack.tracking.entities import RunStatus as RunStatus
from pack.tracking.entities import RunTag as RunTag
from pack.tracking.entities import ViewType as ViewType
