"""Recording and searching beside MLflow on its default store, and beside bare sqlite3 with the same rows."""
