"""Which radius: what perturbations of growing length do to a model, before anything is trained with them."""
