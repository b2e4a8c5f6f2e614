"""The job router: the controller of kfoundry.io/v1alpha1 Jobs.

Each attempt of a Job is submitted to one back end exactly once, whatever dies on the way:

1. the job is submitted *held*, with a token that names the Job's uid and the attempt;
2. the decision and the back end's id are written to the Job's status, in one write;
3. the job is read back by that id and its token compared;
4. that it will be released is written to the status;
5. it is released; the first word that the back end says of it afterwards confirms that.

A held job does not run, and only an id that is in the status is ever released. Every write carries the
resourceVersion that was read, so of several routers, or several looks, one alone gets its id into the
status, and one alone decides that it will be released. From there all of it follows:

- A router that dies before 2, or whose write is refused, leaves a held copy that no status names. It
  never starts; the next look submits another, and the sweep cancels the first. So nothing need be
  written before 1, not even the decision. Where the outcome of a submission is not known, the same
  process looks for a copy with the token before it submits again; a new process does not, since each
  death leaves no more copies than there were looks in progress.
- A router that dies between 2 and 4 finds the id. A back end may have forgotten the job since, and
  given its id to another: hence 3. What is lost before 4 has not run and is submitted again.
- A router that dies after 4 does 5 again, which does no harm. What is lost after 4 may have run, and is
  reported as lost, not submitted again.
- 5 names an id, for no scheduler releases by a token. So it follows 3 at once, or 3 is done again: no
  slurmctld dies, comes back, and issues an id anew so fast. What is left is a release that was under way
  to a slurmctld when it died, reached its successor, and met a held job of the same user under that id:
  that job starts before its step 4, and could run twice if it were lost once more before its id is written.
- A back end that never forgets what it answered, as the API server with batch Jobs, needs no 3, and its
  2 and 4 are one write.

A failed attempt ends with one write, which makes it history and begins the next: with a token of its
own, from 1. What a Job waits for before 1 (`gates`) is the same for every back end. A Job's end is final
unless its user asks for one more attempt, by a number that works once.

Deleting a Job ends what the status names and waits for that; a finalizer, set by admission or before 1,
sees to it. Where the site has given up the back end, nothing is waited for. While it is only away, the
Job stays and says so; an administrator who cannot wait removes the finalizer kfoundry.io/router, and what
still runs is cancelled by the sweep when the back end answers again.
"""
