"""Runs of workflows: one execution in one worker's hands, forward by its steps and back by its ledger."""
