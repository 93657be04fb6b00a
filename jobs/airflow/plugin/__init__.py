"""Pages of ours in Airflow's own user interface, behind its login and its roles.

Airflow imports `entry` in every one of its processes, each task's too; the rest is loaded by the API server when a page
is asked for, and what reads a store runs in a process of its own.
"""
