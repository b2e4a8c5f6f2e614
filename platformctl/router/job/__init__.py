"""What happens to one Job on any back end: resource, gates, routing, submission, status, end and sweep."""
