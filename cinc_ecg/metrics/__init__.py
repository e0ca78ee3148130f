"""Scores: the Challenge's official metrics to the last digit, and others beside them."""
