"""English stop words, which carry grammar rather than meaning and are never attacked."""

_WORDS = """
    a an the this that these those
    i me my mine myself we us our ours ourselves you your yours yourself yourselves
    he him his himself she her hers herself it its itself they them their theirs themselves
    who whom whose which what when where why how
    am is are was were be been being do does did doing done have has had having
    can could may might must shall should will would
    isn't aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't can't cannot couldn't mightn't mustn't
    shan't shouldn't won't wouldn't ain't
    i'm i've i'd i'll we're we've we'd we'll you're you've you'd you'll he's he'd he'll she's she'd she'll
    it's it'd it'll they're they've they'd they'll that's there's here's what's who's let's
    and or but nor so if then than because as while until
    of at by for with about against between into through during before after above below to from up down in out on
    off over under again further once here there only own same too very just both each any all some such few more
    most other no not
    s t d ll m o re ve y
"""

STOP_WORDS = frozenset(_WORDS.split())


def is_stop_word(word: str) -> bool:
    """Whether a word is a stop word, whatever its case and its apostrophe (' or ’)."""
    return word.lower().replace("’", "'") in STOP_WORDS
