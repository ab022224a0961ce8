"""The table of the attacks on texts."""

from alum.attacks.character_attacks import CHARACTER_ATTACKS
from alum.attacks.text_attack import UNKNOWN_WORD, Resources, SearchSettings, TextAttack
from alum.attacks.word_attacks import WORD_ATTACKS
from alum.core.errors import unknown_name

__all__ = [
    "TEXT_ATTACKS",
    "UNKNOWN_WORD",
    "Resources",
    "SearchSettings",
    "TextAttack",
    "text_attack_named",
]

TEXT_ATTACKS = {attack.name: attack for attack in (*CHARACTER_ATTACKS, *WORD_ATTACKS)}


def text_attack_named(name: str) -> TextAttack:
    """A row of the table; raises `InputError` for a name that it does not have."""
    if name not in TEXT_ATTACKS:
        raise unknown_name("attack", name, TEXT_ATTACKS)
    return TEXT_ATTACKS[name]
