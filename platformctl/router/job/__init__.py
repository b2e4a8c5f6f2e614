"""One Job's way: its resource, gates, routing, submission, following, end and sweep, for every back end."""
