"""Reading of a study's YAML file, and checks of what it says."""
