"""Day partitions: immutable run folders and a manifest written last."""
