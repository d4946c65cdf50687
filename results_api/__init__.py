"""Who answers: results of jobs, as rows and as files."""
