"""The scripts of the page: what is told while they are fetched, and where they can't be."""

import logging
from collections.abc import Mapping

from cyclegan.dashboard.page import PageFolder
from cyclegan.npm import SOURCES, Source, fetch

log = logging.getLogger(__name__)
FETCHING = "downloading the page's scripts, only this once"
NOTHING = (
    "the page stays empty: its scripts could not be fetched; connect to the internet or install "
    "npm and start it again, or give --assets FOLDER (cyclegan dashboard) with a copy of {name} "
    "from a machine where it works; training can log to it all the same"
)


async def complete(page: PageFolder, sources: Mapping[str, Source] = SOURCES) -> bool:
    """Show the page after fetching what it lacks; return whether it is complete.

    Logs a line when fetching starts and one when it fails.
    """
    scripts = page.scripts
    if scripts.missing():
        log.info("dashboard: %s", FETCHING)
        page.tell(f"{FETCHING}; this shows what training sends as soon as they are there")
        await fetch(scripts, "dashboard", sources)
    if scripts.missing():
        nothing = NOTHING.format(name=page.folder)
        log.warning("dashboard: %s", nothing)
        page.tell(nothing)
        return False
    page.show()
    return True
