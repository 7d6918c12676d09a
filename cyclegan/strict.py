"""How every settings class reads its values."""

from pydantic import ConfigDict

#: Unknown keys and wrong types are errors: a "64" is no number, a misspelt key is not ignored.
STRICT = ConfigDict(extra="forbid", strict=True)
