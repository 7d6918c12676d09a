"""Video files: frames in, segments of encoded frames out, joined with the sound of the input."""

#: Endings that are taken for videos.
VIDEO = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"}
    | {".ogv", ".ts", ".webm", ".wmv"}
)
#: Frames of a segment: two seconds of a film.
SEGMENT_LENGTH = 48
#: Endings of those that can be written.
WRITABLE_VIDEO = frozenset({".m4v", ".mkv", ".mov", ".mp4", ".webm"})
