"""What is told of jobs without being asked each time: while they run, and when they are over."""
