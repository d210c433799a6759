"""The tracking store in the embedded database, assembled from its parts."""

from __future__ import annotations

from pack.db import Database
from pack.tracking.experiments import Experiments
from pack.tracking.exporting import Exporting
from pack.tracking.importing import Importing
from pack.tracking.lineage import Lineage
from pack.tracking.logged_models import LoggedModels
from pack.tracking.recording import Recording
from pack.tracking.runs import Runs
from pack.tracking.trash import TrackingTrash


class SqlTracking:
    """Implements `TrackingStore`: each line below says which part does the work."""

    def __init__(self, database: Database) -> None:
        self.uri = database.place.uri
        self.close = database.close

        experiments = Experiments(database)
        self.create_experiment = experiments.create
        self.get_experiment = experiments.get
        self.get_experiment_by_name = experiments.get_by_name
        self.search_experiments = experiments.search
        self.rename_experiment = experiments.rename
        self.delete_experiment = experiments.delete
        self.restore_experiment = experiments.restore
        self.set_experiment_tag = experiments.set_tag
        self.delete_experiment_tag = experiments.delete_tag

        runs = Runs(database, experiments)
        self.create_run = runs.create
        self.get_run = runs.get
        self.search_runs = runs.search
        self.count_runs = runs.count
        self.update_run = runs.update
        self.delete_run = runs.delete
        self.restore_run = runs.restore
        self.delete_tag = runs.delete_tag
        self.fail_orphans = runs.fail_orphans

        recording = Recording(database, runs)
        self.log_batch = recording.log_batch
        self.get_metric_history = recording.history

        lineage = Lineage(database, runs)
        self.log_inputs = lineage.log_inputs
        self.log_outputs = lineage.log_outputs

        models = LoggedModels(database, experiments)
        self.create_logged_model = models.create
        self.get_logged_model = models.get
        self.models_of_run = models.of_run
        self.search_logged_models = models.search
        self.finalize_logged_model = models.finalize
        self.delete_logged_model = models.delete
        self.restore_logged_model = models.restore
        self.set_logged_model_tags = models.set_tags
        self.delete_logged_model_tag = models.delete_tag
        self.log_model_params = models.log_params

        trash = TrackingTrash(database)
        self.trash = trash.list
        self.purge = trash.purge
        self.doomed = trash.doomed
        self.forget = trash.forget

        importing = Importing(database, runs, recording, lineage)
        self.import_experiment = importing.experiment
        self.import_run = importing.run
        self.import_logged_model = importing.logged_model

        exporting = Exporting(database)
        self.export_logged_models = exporting.logged_models
        self.export_logged_model = exporting.logged_model
