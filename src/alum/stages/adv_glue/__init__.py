"""Stage that measures fine-tuned models on all tasks of AdvGLUE, and their average."""
