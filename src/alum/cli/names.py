"""Names of the commands, each with a line on what it does."""

COMMANDS = {
    "pretrain": "train a language model on text, from scratch or from a checkpoint",
    "finetune": "fine-tune a checkpoint on a task",
    "methods": "list the training methods with their settings",
    "tasks": "list the named tasks",
    "suites": "list the suites that models can be evaluated on",
    "evaluate": "measure a fine-tuned model, clean, mistyped and under attack",
    "advglue": "measure models on the tasks of AdvGLUE, and their average",
    "radius": "see what a radius does to a model, to choose one",
    "plan": "say what a run will take: operations, memory, hours",
    "study": "train arms x tasks x seeds, compare them, write one page",
    "compare": "compare finished runs by name, each run a seed",
    "attack": "change a text until a classifier says something else",
    "checklist": "test how a classifier behaves where its answer is known (CheckList)",
    "reduce": "take words away as long as a classifier's answer stays",
    "triggers": "look for words that turn the label of any text behind them",
    "augment": "write changed copies of a data set, at random or by an attack",
    "demo": "run all stages on the documentation of the installed packages",
    "env": "print versions and hardware",
    "completion": "print the script by which a shell completes what is typed",
}
