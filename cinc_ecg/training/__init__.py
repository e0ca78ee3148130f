"""Training: configuration, tasks, one loop, checkpoints."""
