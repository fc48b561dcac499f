"""Prints the pins of requirements.lock that the project itself and its extras ask for, with their hashes.

What those need in turn comes from the same lock as a constraint; what only development needs stays out.
Usage: python3 runtime_pins.py pyproject.toml requirements.lock [EXTRA…]
"""

import re
import sys
import tomllib
from pathlib import Path


def canonical(name: str) -> str:
    """A distribution's name as locks write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(pyproject: str, lock: str, extras: list[str]) -> list[str]:
    """Blocks `name==version` with their hashes; `SystemExit` names what the lock, or the project, lacks."""
    project = tomllib.loads(pyproject)["project"]
    optional = project.get("optional-dependencies", {})
    if unknown := sorted(set(extras) - set(optional)):
        sys.exit(f"there is no extra {', '.join(unknown)}: there are {', '.join(optional)}")
    wanted = [*project["dependencies"], *(one for extra in extras for one in optional[extra])]
    named = (canonical(re.split(r"[^A-Za-z0-9._-]", one, maxsplit=1)[0]) for one in wanted)
    names = list(dict.fromkeys(named))
    blocks = {
        canonical(found["name"]): found[0].rstrip()
        for found in re.finditer(r"^(?P<name>[A-Za-z0-9._-]+)==\S+(?: \\\n +--hash=\S+)+", lock, re.MULTILINE)
    }
    missing = sorted(set(names) - set(blocks))
    if missing:
        sys.exit(f"requirements.lock has no pin of {', '.join(missing)}: run 'make lock'")
    return [blocks[name] for name in names]


if __name__ == "__main__":
    print("\n".join(pins(Path(sys.argv[1]).read_text(), Path(sys.argv[2]).read_text(), sys.argv[3:])))
