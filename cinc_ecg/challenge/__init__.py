"""The Challenge: its entry points, its scorer, its data preparation."""
