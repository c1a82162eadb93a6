"""Switch the offloads of a network card in the namespace where this runs, as `ethtool -K` does, which is not everywhere:
`python -m tests.parts.offloads <card> <feature>=on|off ...`, with the kernel's names of the features."""

from __future__ import annotations

import sys

from pyroute2.ethtool.ioctl import IoctlEthtool


def main(card: str, *wishes: str) -> None:
    tool = IoctlEthtool(card)
    features = tool.get_features()
    for wish in wishes:
        name, _, value = wish.partition("=")
        features[name] = value == "on"
    tool.set_features(features)
    now = tool.get_features()
    wrong = [wish for wish in wishes if now[wish.partition("=")[0]] != wish.endswith("=on")]
    if wrong:
        sys.exit(f"{card} does not take {', '.join(wrong)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
