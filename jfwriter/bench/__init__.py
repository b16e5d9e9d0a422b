"""A writer as a child process, measured from outside: how fast, against which limit, bound by what.

`bench.measure` runs it all; `writer_process` starts a writer, `peers` the sender and the bare loop, `rounds`
pairs what is to be compared, `watch` looks at a process while it works, `bound` says what held it up.
"""
