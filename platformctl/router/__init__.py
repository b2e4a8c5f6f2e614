"""The job router: the controller of kfoundry.io/v1alpha1 Jobs.

A Job is submitted to one back end exactly once, whatever dies on the way:

1. the decision (back end, attempt) is written to the Job's status;
2. the job is submitted *held*, with a token that names the Job's uid and the attempt;
3. the back end's id is written to the status;
4. the job is read back by that id and its token compared;
5. that it will be released is written to the status;
6. it is released, and that too is written.

A router that dies between any two steps finds its job again by the token. Only an id that is in the
status is ever released, and a held job does not run, so a copy that a lost answer left behind never
starts; the sweep cancels it. A job that a back end loses before step 5 is submitted again, since it
cannot have run; one that is lost later is not, since it may have.
"""
