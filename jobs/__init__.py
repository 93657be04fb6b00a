"""The steps of the day, one module and one command each, and the operator's commands."""
