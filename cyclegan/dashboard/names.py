"""Names of environments, which visdom makes paths of files of."""

from collections import UserDict
from collections.abc import Callable, Mapping
from typing import Any

from tornado.web import HTTPError

from cyclegan.loggers.settings import is_plain


class PlainNames(UserDict[str, Any]):
    """A server's environments by their names; who asks for a path is refused.

    visdom's handlers look here first, and make a path of what they found or did not find.
    """

    def __init__(self, environments: Mapping[str, Any]) -> None:
        super().__init__({name: env for name, env in environments.items() if is_plain(name)})

    def __contains__(self, name: object) -> bool:
        return _plain(name) in self.data

    def __getitem__(self, name: str) -> Any:
        return self.data[_plain(name)]

    def __setitem__(self, name: str, environment: Any) -> None:
        self.data[_plain(name)] = environment

    def __delitem__(self, name: str) -> None:
        del self.data[_plain(name)]


def refusing_paths(escape: Callable[[str], str]) -> Callable[[str], str]:
    """visdom's function that makes `_` of the `/` in a name, for names that are no paths."""

    def escape_eid(eid: str) -> str:
        for part in eid.split("/") if isinstance(eid, str) else [eid]:
            _plain(part)
        return escape(eid)

    return escape_eid


def _plain(name: object) -> str:
    if not isinstance(name, str) or not is_plain(name):
        raise HTTPError(400, reason="the name of an environment is a plain name")
    return name
