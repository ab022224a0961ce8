"""Parts of `alum.training.trainer.AlumMixin`, each a concern of its own."""
