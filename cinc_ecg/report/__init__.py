"""Pictures for people: overlays on the source and clean replots."""
