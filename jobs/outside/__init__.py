"""Files by which something else starts the processes of a cluster."""
