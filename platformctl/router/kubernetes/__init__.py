"""The Kubernetes back end: batch/v1 Jobs, followed by watches."""
