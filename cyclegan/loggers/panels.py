"""The panels of text beside the curves, as small pieces of HTML."""

from collections.abc import Mapping
from html import escape

from cyclegan.durations import spoken
from cyclegan.loggers.health import Recent, complaints, verdict
from cyclegan.loggers.journey import Journey
from cyclegan.position import Position


def health(recent: Recent) -> str:
    """What is wrong, or that nothing is."""
    wrong = complaints(recent)
    if not wrong:
        return _point("#2a9d5c", verdict(recent))
    return "".join(_point("#d1495b", text) for text in wrong)


def progress(journey: Journey, reached: Position, seconds: float, speed: float) -> str:
    """How far the run is, and how long it takes; `speed` is in images per second."""
    images, epoch = reached.images, reached.epoch
    share = min(1.0, images / max(1, journey.images))
    left = spoken((journey.images - images) / speed) if speed > 0 else "not known yet"
    bar = (
        '<div style="background:#e4e4e4;border-radius:4px;height:10px;margin:2px 0 10px">'
        f'<div style="background:#3a6ea5;border-radius:4px;height:10px;width:{share:.1%}"></div>'
        "</div>"
    )
    rows = {
        "epoch": f"{min(epoch, journey.last_epoch)} of {journey.last_epoch}",
        "images": f"{images:,} of {journey.images:,} ({share:.0%})",
        "time spent": spoken(seconds),
        "time left": left,
        "speed": f"{speed:.2f} images/s" if speed > 0 else "not known yet",
    }
    return bar + table(rows)


def settings(journey: Journey) -> str:
    """The settings that differ from their defaults, and what the run is computed by."""
    if not journey.settings:
        return "<p>All settings have their defaults.</p>" + table(journey.environment)
    return table(journey.settings) + "<hr style='margin:8px 0'>" + table(journey.environment)


def table(rows: Mapping[str, str]) -> str:
    """Two columns: names and values."""
    cells = "".join(
        f"<tr><td style='padding-right:1em;color:#666;vertical-align:top'>{escape(name)}</td>"
        f"<td style='overflow-wrap:anywhere'>{escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table style='font-size:13px'>{cells}</table>"


def _point(colour: str, text: str) -> str:
    return (
        "<p style='font-size:14px;margin:0 0 8px;padding-left:18px;text-indent:-18px'>"
        f"<span style='color:{colour}'>●</span>&nbsp; {escape(text)}</p>"
    )
