"""What the desk's pages show of jobs and results, before it becomes markup."""
