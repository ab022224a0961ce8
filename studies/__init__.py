"""What adversarial training does to models, on real data; each module is run by ``python -m``."""
