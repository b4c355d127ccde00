"""Following a step's code: an abstract interpretation that finds what it may read and write in the task's data."""
