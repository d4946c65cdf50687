"""What two or more of producer, worker and results API need."""
