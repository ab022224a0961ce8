"""Training in several processes beside training in one: every method, place and stage, by every way to start them."""
