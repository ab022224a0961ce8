"""A small BERT under a name of its own, with code beside it that the ``auto_map`` of its configuration names."""

import json
from pathlib import Path

from tiny_stages import save_untrained

MODEL_TYPE = "small_and_own"
CONFIGURATION = f"""
from transformers import BertConfig


class OwnConfig(BertConfig):
    model_type = "{MODEL_TYPE}"
"""
MODELING = """
from transformers import BertForMaskedLM, BertForSequenceClassification, BertModel

from .configuration_own import OwnConfig


class OwnModel(BertModel):
    config_class = OwnConfig


class OwnForMaskedLM(BertForMaskedLM):
    config_class = OwnConfig


class OwnForSequenceClassification(BertForSequenceClassification):
    config_class = OwnConfig
"""
AUTO_MAP = {
    "AutoConfig": "configuration_own.OwnConfig",
    "AutoModel": "modeling_own.OwnModel",
    "AutoModelForMaskedLM": "modeling_own.OwnForMaskedLM",
    "AutoModelForSequenceClassification": "modeling_own.OwnForSequenceClassification",
}


def save_with_own_code(folder: Path, modeling: str = MODELING) -> Path:
    """An untrained masked language model that loads only where the ``modeling`` code beside it is trusted."""
    save_untrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"model_type": MODEL_TYPE, "auto_map": AUTO_MAP}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    # transformers takes equal code for one class, and keeps the first model that was loaded for it.
    (folder / "configuration_own.py").write_text(f"# {folder}\n{CONFIGURATION}", encoding="utf-8")
    (folder / "modeling_own.py").write_text(modeling, encoding="utf-8")
    return folder
