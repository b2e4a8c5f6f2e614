"""The job router: the controller of kfoundry.io/v1alpha1 Jobs.

Each attempt of a Job is submitted to one back end exactly once, whatever dies on the way:

1. `submit_held`: the job is submitted held, with a token that names the Job's uid, the attempt and this one
   submission of it;
2. `read`: it is read back by the id that the back end answered, and its token is compared;
3. `status`: the decision, the id and the submission are written to the Job's status, in one write;
4. `release`: it is released. What the back end first reports of it afterwards confirms that.

A held job does not run, and only an id in the status is ever released. Every write carries the
resourceVersion that was read. So when several routers, or several reconciles, submit the same attempt, only
one of them gets its id into the status. The rest follows from that:

- A router that dies before 3, or whose write is refused, leaves a held job that no status names. It never
  starts; the next reconcile submits another one, and the sweep cancels the first. So nothing needs to be
  written before 1, not even the decision. Where a process does not know whether its submission worked, it
  looks for the held job before it submits again. A new process does not: a death leaves at most as many held
  jobs as there were reconciles in progress.
- A back end may forget a job that it accepted, and give its id to another one: hence 2. What is lost before 3
  has not run and is submitted again. What is lost after 3 may have run; it is reported as lost and not
  submitted again.
- A router that dies after 3 does 4 again. That is safe: it reads the job first, and releases it only if it is
  held and is the submission that the status names. Without that comparison it could release another
  submission of the same attempt, one that got the id of a job that ran and was forgotten.
- 4 names an id, since no scheduler releases by token. So 4 follows 2 at once, or the job is read again: no
  slurmctld dies, comes back and issues an id again that fast. One case is left: a release is on its way to a
  slurmctld that dies, reaches its successor, and meets a held job of the same user under that id. That job
  starts before its own step 3. It would run twice if it were also lost before its id is written.
- A back end that never forgets a job that it accepted, such as the API server with batch Jobs, needs no 2,
  and one submission for each attempt.

A failed attempt ends with one write: it makes the attempt history and begins the next one, which has a token
of its own and starts at 1. What a Job waits for before 1 (`gates`) is the same for every back end. The end of
a Job is final, unless its user asks for one more attempt with a number that works once.

Deleting a Job ends what its status names and waits for that end. A finalizer, set by admission or before 1,
ensures this. If the site no longer has the back end, nothing is waited for. If the back end is only away, the
Job stays and says so. An administrator who cannot wait removes the finalizer kfoundry.io/router; the sweep
cancels what still runs when the back end answers again.
"""
