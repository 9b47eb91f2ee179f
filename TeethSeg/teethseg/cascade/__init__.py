"""The cascade: two networks, instances and numbering. Its input is a `Volume`, its result a `Dentition`."""
