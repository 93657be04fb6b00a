"""Days told to MLflow and OpenLineage, from what the store holds."""
