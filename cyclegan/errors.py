"""Mistakes that a person can mend, told in one line."""


class UserError(Exception):
    """Something the user can put right; its text is one line: what, where, and the way out."""

    exit_code = 1


class UsageError(UserError):
    """A wrong flag, key or value; the command was not started."""

    exit_code = 2
