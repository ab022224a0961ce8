"""Words and phrases of our own that behavioural tests put into texts: names, cities, opinions and what they are of."""

FIRST_NAMES = (
    ("James", "John", "Robert", "Michael", "David", "Richard", "Thomas", "Charles", "Daniel", "Matthew", "Anthony",
     "Steven", "Andrew", "Kenneth", "Kevin", "Brian", "George", "Peter", "Martin", "Samuel"),
    ("Mary", "Linda", "Elizabeth", "Barbara", "Susan", "Jessica", "Sarah", "Karen", "Nancy", "Lisa", "Margaret",
     "Sandra", "Emily", "Michelle", "Laura", "Helen", "Anna", "Julia", "Rachel", "Catherine"),
)  # fmt: skip
"""First names, each with those that may stand in its place; none is a word of another meaning."""

CITIES = (
    ("Chicago", "Houston", "Boston", "Seattle", "Denver", "Atlanta", "Los Angeles", "San Francisco", "Miami"),
    ("London", "Manchester", "Liverpool", "Birmingham", "Leeds", "Bristol"),
    ("Paris", "Lyon", "Marseille", "Toulouse", "Bordeaux"),
    ("Berlin", "Hamburg", "Munich", "Cologne", "Frankfurt", "Stuttgart"),
    ("Rome", "Milan", "Naples", "Turin", "Bologna"),
    ("Madrid", "Barcelona", "Valencia", "Seville"),
    ("Tokyo", "Osaka", "Kyoto", "Nagoya"),
    ("Mumbai", "Delhi", "Bangalore", "Chennai", "Kolkata"),
    ("Beijing", "Shanghai", "Shenzhen", "Wuhan"),
    ("Toronto", "Montreal", "Vancouver", "Calgary"),
    ("Sydney", "Melbourne", "Brisbane", "Perth"),
)
"""Cities by country, so that one in the place of another leaves the country that a text may name too.

None is a state, a province or a part of common names, as New York is.
"""

POSITIVE_PHRASES = ("I loved it.", "It was great.", "I am very happy with it.", "I would recommend it to anyone.")
NEGATIVE_PHRASES = ("I hated it.", "It was terrible.", "I am very unhappy with it.", "I would warn anyone of it.")

POSITIVE_ADJECTIVES = ("good", "great", "excellent", "wonderful", "lovely", "beautiful", "fantastic", "superb")
NEGATIVE_ADJECTIVES = ("bad", "terrible", "awful", "horrible", "dreadful", "boring", "disappointing", "poor")
POSITIVE_VERBS = ("like", "love", "enjoy", "recommend")
NEGATIVE_VERBS = ("hate", "dislike", "despise", "detest")
THINGS = ("film", "book", "meal", "hotel", "show", "service", "story", "game")
"""Things that people have opinions of."""

STATES = ("warm", "empty", "open", "clean", "new", "dark", "quiet", "full")
PLACES_IN_STATES = ("room", "kitchen", "shop", "station", "garden", "museum", "church", "harbour")
"""What may be in one of the states, about which no opinion is meant."""
