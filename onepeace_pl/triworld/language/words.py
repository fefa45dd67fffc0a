"""Vocabulary: synonyms of every factor's values, a few hundred words. The first of several is the shortest."""

from typing import Final

NOUNS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "bell": (("bell", "bells"), ("chime", "chimes")),
    "drum": (("drum", "drums"), ("tambour", "tambours")),
    "bird": (("bird", "birds"), ("songbird", "songbirds")),
    "horn": (("horn", "horns"), ("trumpet", "trumpets")),
    "clock": (("clock", "clocks"), ("alarm clock", "alarm clocks")),
    "bee": (("bee", "bees"), ("bumblebee", "bumblebees")),
    "frog": (("frog", "frogs"), ("toad", "toads")),
    "kettle": (("kettle", "kettles"), ("teapot", "teapots")),
    "guitar": (("guitar", "guitars"), ("acoustic guitar", "acoustic guitars")),
    "cat": (("cat", "cats"), ("kitten", "kittens")),
    "phone": (("phone", "phones"), ("telephone", "telephones")),
    "rattle": (("rattle", "rattles"), ("maraca", "maracas")),
}
THINGS: Final = ("thing", "object")

VERBS: Final[dict[str, tuple[str, ...]]] = {
    "bell": ("ringing", "chiming"),
    "drum": ("drumming", "beating"),
    "bird": ("singing", "chirping"),
    "horn": ("blowing", "tooting"),
    "clock": ("ticking", "clicking"),
    "bee": ("buzzing", "humming"),
    "frog": ("croaking", "calling"),
    "kettle": ("whistling", "hissing"),
    "guitar": ("strumming", "playing"),
    "cat": ("meowing", "mewing"),
    "phone": ("ringing", "trilling"),
    "rattle": ("rattling", "shaking"),
}
ANY_VERBS: Final = ("sounding", "heard")

SIZES: Final[dict[str, tuple[str, ...]]] = {
    "small": ("small", "little", "tiny"),
    "large": ("large", "big", "huge"),
}

COLOURS: Final[dict[str, tuple[str, ...]]] = {
    "red": ("red", "scarlet"),
    "orange": ("orange", "amber"),
    "yellow": ("yellow", "golden"),
    "green": ("green", "emerald"),
    "blue": ("blue", "azure"),
    "purple": ("purple", "violet"),
    "pink": ("pink", "rose"),
    "white": ("white", "pale"),
}

BACKGROUNDS: Final[dict[str, tuple[str, ...]]] = {
    "snow": ("in the snow", "on snowy ground"),
    "grass": ("on the grass", "in a grassy meadow"),
    "sand": ("on the sand", "on a sandy beach"),
    "night": ("in the night", "under the night sky"),
    "water": ("on the water", "over rippling water"),
    "wood": ("on the wood", "on a wooden floor"),
    "bricks": ("before the bricks", "against a brick wall"),
    "clouds": ("in the clouds", "up in a cloudy sky"),
}

PLACES: Final[dict[str, tuple[str, ...]]] = {
    "top left": ("at top left", "in the top left corner", "in the upper left"),
    "top": ("at the top", "in the upper middle"),
    "top right": ("at top right", "in the top right corner", "in the upper right"),
    "left": ("on the left", "at the left side"),
    "middle": ("in the middle", "in the centre"),
    "right": ("on the right", "at the right side"),
    "bottom left": ("at bottom left", "in the bottom left corner", "in the lower left"),
    "bottom": ("at the bottom", "in the lower middle"),
    "bottom right": ("at bottom right", "in the bottom right corner", "in the lower right"),
}

RELATIONS: Final[dict[str, tuple[str, ...]]] = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "above": ("above", "higher than"),
    "below": ("below", "under"),
}

RHYTHMS: Final[dict[str, tuple[str, ...]]] = {
    "once": ("once", "a single time", "one time"),
    "twice": ("twice", "two times"),
    "thrice": ("thrice", "three times"),
    "steady": ("steadily", "again and again", "at a steady pace"),
    "speeding up": ("ever faster", "faster and faster", "quicker and quicker"),
}

NUMBERS: Final = {2: ("two", "a pair of"), 3: ("three",), 4: ("four",)}
