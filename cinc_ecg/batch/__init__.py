"""Many pictures at once: isolated workers, one commit per page, resumable."""
