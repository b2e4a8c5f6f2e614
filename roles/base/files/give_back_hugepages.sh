#!/bin/sh
# Gives back the huge pages that platformctl made the kernel keep, and removes what keeps them.
set -eu
platformctl-hugepages --give-back
systemctl --quiet disable platformctl-hugepages.service
rm -f /etc/systemd/system/platformctl-hugepages.service /etc/platformctl/hugepages.json \
  /var/lib/platformctl/hugepages.json /usr/local/sbin/platformctl-hugepages
rmdir /etc/platformctl 2>/dev/null || true
systemctl daemon-reload
