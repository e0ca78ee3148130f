"""Preparation of Challenge data: labels, picture lines, hidden headers, splits, whole folders."""
