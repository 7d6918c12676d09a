"""Look the installed packages up in PyPI's advisories; exit with 1 if one is known to be unsafe.

Packages that can't be looked up are named: where there is no network, that is all of them.
"""

import json
import subprocess
import sys
import sysconfig

#: Advisories that don't matter here, and why; docs/security.md has them, too.
ACCEPTED: dict[str, str] = {}

_NAMED = 5


def main() -> int:
    """Print what is known of the packages; return the exit code."""
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--format", "json"]
    command += ["--path", sysconfig.get_path("purelib"), "--timeout", "15", "--skip-editable"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        sys.stdout.write(f"pip-audit: no package was looked up ({reason})\n")
        return 0
    return told(packages)


def told(packages: list[dict[str, object]]) -> int:
    """Print one line for each advisory, and one for all packages; return the exit code."""
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    unsafe = [
        f"{one['name']} {one['version']}: {found['id']}, fixed in {found['fix_versions']}"
        for one in packages
        for found in one.get("vulns", ())  # type: ignore[attr-defined]
        if found["id"] not in ACCEPTED
    ]
    for line in unsafe:
        sys.stdout.write(f"{line}\n")
    looked_up = len(packages) - len(unknown)
    sys.stdout.write(
        f"pip-audit: {looked_up} of {len(packages)} packages looked up, {len(unsafe)} advisories\n"
    )
    if unknown:
        names = ", ".join(sorted(map(str, unknown))[:_NAMED])
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        sys.stdout.write(f"pip-audit: {names}{more}: not looked up (no network?)\n")
    return int(bool(unsafe))


if __name__ == "__main__":
    raise SystemExit(main())
