"""alum's attacks on words beside TextAttack's, each program in an environment of its own."""
