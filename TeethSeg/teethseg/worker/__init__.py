"""The cascade in a process of its own, so that no window freezes, and a run can be cancelled or die without harm.

Floors: `protocol` (what the two sides say), `job` (the process), `client` (who starts it and listens), `computer` (can this
computer do it at all?). None of them imports torch into the process of the caller.
"""
