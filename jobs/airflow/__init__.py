"""The local Airflow, its watcher and the runner that needs neither scheduler nor server."""
