"""What training and attacks cost, measured beside others' ways; each module is run by ``python -m``."""
