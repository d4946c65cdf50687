"""Who labels: consume, fetch, decode, predict, save, ack."""
