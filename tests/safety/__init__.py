"""Models, checkpoints and data made to do harm, and what every command does with them: ``make safety``."""
