#!/usr/bin/env bash
# Install MariaDB for the tests of MySQL where that takes no password; elsewhere they are skipped, with the reason.
set -euo pipefail

[ -x /usr/sbin/mariadbd ] && exit 0
command -v mariadbd >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing MariaDB for the tests of MySQL …"
    # The tests start servers of their own: that of the package stays off.
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT; }
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mariadb-server) \
        >/dev/null 2>&1 || echo "MariaDB could not be installed: the tests of MySQL are skipped." >&2
else
    echo "There is no MariaDB here: the tests of MySQL are skipped." >&2
fi
