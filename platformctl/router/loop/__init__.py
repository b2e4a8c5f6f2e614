"""What any controller needs, independent of Jobs: informer, work queue, leader election, pace, health."""
