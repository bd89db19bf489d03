"""What all parts of the embedded network share: tables, checks, lists, policy, quotas, transactions."""
