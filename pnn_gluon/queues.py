"""The queues of workers that tasks go to, in an Airflow that has workers of its own; elsewhere they mean nothing."""

ETL = "etl"
"""What moves and counts rows, scores and publishes; every task that no other queue is named for."""

TRAINING = "training"
"""What keeps a machine busy for long, and may want a larger one."""
