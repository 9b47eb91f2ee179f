"""The cascade in a process of its own, so that windows stay responsive, and a cancelled or crashed run does no harm.

`protocol` defines the messages, `job` is the process, `client` starts it and reads its messages, and `computer` checks whether
this computer can run it. None of them imports torch into the process of the caller.
"""
