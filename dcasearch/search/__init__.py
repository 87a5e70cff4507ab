"""What is tried next, what ends early, what is promoted, and the ledger that says what became of each trial.

`trials.Trials` is the executor-neutral core of one fidelity: executors ask it for jobs, report every epoch to it and
hand in what came out. Its parts: `suggestions` (which trial is next), `admission` (from a suggestion to a job),
`course` (epochs, rungs, the end) and `recovery` (what an earlier driver left). `roles.Roles` serves the baselines and
the final trainings in the same way.
"""
