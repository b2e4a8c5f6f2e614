"""The output of Jobs, through the Kubernetes API: an aggregated API server for logs.kfoundry.io/v1alpha1.

GET /apis/logs.kfoundry.io/v1alpha1/namespaces/NAMESPACE/jobs/NAME/log gives what a Job printed, whichever
back end ran it, as text/plain:

    offset=N      from that byte on (0)
    tailBytes=N   the last N bytes instead
    index=N       of one element of an array, or one task on Kubernetes (the first)
    attempt=N     of an earlier attempt (the last)
    follow=true   go on until the attempt has ended

Without follow an answer holds at most a page. The headers Kfoundry-Offset and Kfoundry-Next-Offset tell
which bytes it holds, Kfoundry-Complete: true that nothing follows. A followed output may be cut off at a
limit, or by a restart: ask again from the next offset.

The API server has authenticated the caller and says who it is, over a connection that only it can make
(frontproxy). The submitter may read, and who may get pods/log in the Job's namespace.

What ran on Kubernetes is relayed from pods/log. What ran on Slurm is in a file of the user's on the shared
home; it is opened with the user's own rights by a process of its own (opener), so the kernel decides, and
the process that speaks HTTP has no rights at all. Nothing is copied: files stay the user's.
"""
