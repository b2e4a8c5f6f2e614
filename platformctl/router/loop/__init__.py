"""What every controller needs and knows no Job: informer, work queue, leader election, pace, health."""
