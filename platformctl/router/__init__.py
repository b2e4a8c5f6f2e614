"""The job router: the controller of kfoundry.io/v1alpha1 Jobs.

Each attempt of a Job is submitted to one back end exactly once, whatever dies on the way:

1. the job is submitted *held*, with a token that names the Job's uid, the attempt and this one copy;
2. it is read back by the id that the back end answered, and its token compared;
3. the decision, the id and the copy are written to the Job's status, in one write;
4. it is released; the first word that the back end says of it afterwards confirms that.

A held job does not run, and only an id that is in the status is ever released. Every write carries the
resourceVersion that was read, so of several routers, or several looks, one alone gets its id into the
status. From there all of it follows:

- A router that dies before 3, or whose write is refused, leaves a held copy that no status names. It
  never starts; the next look submits another, and the sweep cancels the first. So nothing need be
  written before 1, not even the decision. Where the outcome of a submission is not known, the same
  process looks for a copy before it submits again; a new process does not, since each death leaves no
  more copies than there were looks in progress.
- A back end may forget what it answered, and give the id to another job: hence 2. What is lost before 3
  has not run and is submitted again. What is lost after 3 may have run, and is reported as lost, not
  submitted again.
- A router that dies after 3 does 4 again, which does no harm: it reads the job first, and releases what
  is held and is the copy of the status. Without the copy, another submission of the same attempt that
  came by the id of the one that ran and was forgotten would be released a second time.
- 4 names an id, for no scheduler releases by a token. So it follows 2 at once, or the job is read again:
  no slurmctld dies, comes back, and issues an id anew so fast. What is left is a release that was under
  way to a slurmctld when it died, reached its successor, and met a held job of the same user under that
  id: that job starts before its step 3, and could run twice if it were lost once more before its id is
  written.
- A back end that never forgets what it answered, as the API server with batch Jobs, needs no 2 and no
  copies.

A failed attempt ends with one write, which makes it history and begins the next: with a token of its
own, from 1. What a Job waits for before 1 (`gates`) is the same for every back end. A Job's end is final
unless its user asks for one more attempt, by a number that works once.

Deleting a Job ends what the status names and waits for that; a finalizer, set by admission or before 1,
sees to it. Where the site has given up the back end, nothing is waited for. While it is only away, the
Job stays and says so; an administrator who cannot wait removes the finalizer kfoundry.io/router, and what
still runs is cancelled by the sweep when the back end answers again.
"""
