"""What a user would pick instead of this book: one short file for each contestant.

A contestant is a function `train(task, clock)`: it prepares what it needs from the pictures of
`task`, trains until `clock.step` says that its time is up, and returns how it answers pictures.
`ci/bench_instead.py` runs one and looks at its answers.
"""
