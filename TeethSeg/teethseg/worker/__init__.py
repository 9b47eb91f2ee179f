"""The cascade in a process of its own, so that no window freezes, and a run can be cancelled or die without harm.

`protocol` holds the messages, `job` is the process, `client` starts it and listens to it, `computer` checks whether it can
run on this computer. None of them imports torch into the process of the caller.
"""
