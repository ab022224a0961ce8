"""Finished models on the hub: what of a run's folder is pushed, and the push that ``push_to_hub`` asks for."""

import shlex
from pathlib import Path

from huggingface_hub import HfApi
from transformers import Trainer

from alum.stages.runs.folder import ALL_RECORDS
from alum.training.pushing import explained_if_not_pushed

_TEMPLATES = "additional_chat_templates"


def save_unpushed(trainer: Trainer, folder: Path) -> None:
    """Saves a model, which `publish` pushes when its card is written; the Trainer would do it at once, without one."""
    asked, trainer.args.push_to_hub = trainer.args.push_to_hub, False
    try:
        trainer.save_model(str(folder))
    finally:
        trainer.args.push_to_hub = asked


def public_files(folder: Path) -> list[str]:
    """Lists the files of a finished run that are pushed: model, tokenizer, card and picture.

    Left out are records, predictions, which hold a user's rows, checkpoints, and what trackers wrote.
    """
    found = [path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    public = [name for name in found if name not in ALL_RECORDS and not name.startswith("predictions")]
    templates = [f"{_TEMPLATES}/{path.name}" for path in (folder / _TEMPLATES).glob("*") if path.is_file()]
    return sorted([*public, *templates])


def publish(trainer: Trainer, folder: Path) -> None:
    """Pushes the public files of a finished run's folder to the hub, in one commit, where ``push_to_hub`` asks for it.

    Raises `InputError`, with the command that does it by hand, where the hub does not take them.
    """
    if not trainer.args.push_to_hub or not trainer.is_world_process_zero():
        return
    files, hub_id = public_files(folder), str(trainer.hub_model_id)
    by_hand = shlex.join(["hf", "upload", hub_id, str(folder), ".", *(f"--include={name}" for name in files)])
    with explained_if_not_pushed(f"{folder} was not pushed to {hub_id}", f"The run is finished; push it by: {by_hand}"):
        HfApi(token=trainer.args.hub_token).upload_folder(
            repo_id=hub_id,
            folder_path=folder,
            allow_patterns=files,
            commit_message="Add a model trained with alum",
            revision=trainer.args.hub_revision,
        )
