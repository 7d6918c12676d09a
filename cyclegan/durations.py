"""Durations as people say them: 45 s, 20 min, 2 h 15 min, 3 days 4 h."""

_IN_SECONDS = 100  # below this seconds say it best
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LONGEST = 1e12  # seconds: nothing here lasts longer, and infinity has no whole number


def spoken(seconds: float) -> str:
    """Return the duration in its two largest units at most, rounded to the smaller one."""
    whole = min(max(0.0, seconds), _LONGEST)
    if round(whole) < _IN_SECONDS:
        return f"{round(whole)} s"
    minutes = round(whole / _MINUTE)
    if minutes * _MINUTE < _HOUR:
        return f"{minutes} min"
    if minutes * _MINUTE < _DAY:
        return _joined(minutes // 60, "h", minutes % 60, "min")
    hours = round(whole / _HOUR)
    return _joined(hours // 24, "day" if hours < 48 else "days", hours % 24, "h")


def _joined(count: int, unit: str, rest: int, smaller: str) -> str:
    return f"{count:,} {unit} {rest} {smaller}" if rest else f"{count:,} {unit}"
