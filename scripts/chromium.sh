#!/usr/bin/env bash
# Install Chromium for the browser tests where that takes no password; elsewhere they are skipped, with the reason.
set -euo pipefail

for name in chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests …"
    # The shell without a window takes a fifth less of the CPU than the browser that hides its window.
    (apt-get update -qq && for name in chromium-headless-shell chromium; do
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$name" && break
    done) >/dev/null 2>&1 || echo "Chromium could not be installed: the browser tests are skipped." >&2
else
    echo "There is no Chromium here: the browser tests are skipped." >&2
fi
