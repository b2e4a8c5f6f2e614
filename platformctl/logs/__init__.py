"""The output of Jobs, through the Kubernetes API: an aggregated API server for logs.kfoundry.io/v1alpha1.

GET /apis/logs.kfoundry.io/v1alpha1/namespaces/NAMESPACE/jobs/NAME/log returns the output of a Job on any back
end, as text/plain. Parameters, with their defaults:

    offset=N      start at byte N (0)
    tailBytes=N   the last N bytes instead
    index=N       one element of an array, or one task on Kubernetes (the first)
    attempt=N     an earlier attempt (the last)
    follow=true   continue until the attempt has ended

Without follow, an answer has at most one page. The headers Kfoundry-Offset and Kfoundry-Next-Offset say which
bytes it has; Kfoundry-Complete: true says that nothing follows. With follow, the output may stop at a limit
or at a restart: ask again from the next offset.

The API server authenticates the caller and passes on the name, over a connection that only it can make
(frontproxy). The submitter may read, and everybody who may get pods/log in the Job's namespace.

Output of Kubernetes is relayed from pods/log. Output of Slurm is a file of the user on the shared home. A
separate process (opener) opens it with the user's own rights, so the kernel decides, and the process that
speaks HTTP needs no rights. Files are not copied.
"""
