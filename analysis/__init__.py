"""What a results table says: laws, intervals, verdicts, figures."""
