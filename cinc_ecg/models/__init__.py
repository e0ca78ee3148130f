"""Networks: a view of the page or the signal, a backbone, heads and losses; and their files."""
