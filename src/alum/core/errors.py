"""The one exception for what a user can mend."""


class InputError(ValueError):
    """A setting, file or model that cannot be used as given.

    The message is for the user: what was expected, what came and what to do next. The command line prints it as one
    line and exits with code 2.
    """
