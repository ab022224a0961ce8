"""Names of the commands, each with a line on what it does."""

COMMANDS = {
    "pretrain": "train a language model on text, from scratch or from a checkpoint",
    "finetune": "fine-tune a checkpoint on a task",
    "methods": "list the training methods with their settings",
    "tasks": "list the named tasks",
    "suites": "list the suites that models can be evaluated on",
    "evaluate": "measure a fine-tuned model, clean, mistyped and under attack",
    "radius": "see what a radius does to a model, to choose one",
    "study": "train arms x tasks x seeds, compare them, write one page",
    "compare": "compare finished runs by name, each run a seed",
    "attack": "change a text until a classifier says something else",
    "demo": "run all stages on the documentation of the installed packages",
    "env": "print versions and hardware",
}
