"""What the ledger says: figures of trainings, arms side by side, answers to questions, and a picture."""
