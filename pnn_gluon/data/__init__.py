"""Sources, ingest, sampling, feature map, encoding, and the feeder of training batches."""
