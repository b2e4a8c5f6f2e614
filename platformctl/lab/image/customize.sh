#!/bin/sh
# Turns a minimal Debian tree into the disk of a lab host. Called by mmdebstrap with the tree's path.
set -eu
root=$1

# The administrator that the operator's machine logs in as. Its home is local: /home is the site's.
chroot "$root" useradd --system --user-group --create-home --home-dir /var/lib/ops --shell /bin/bash ops
mkdir -m 0755 "$root/var/lib/ops/.ssh"
printf 'ops ALL=(ALL:ALL) NOPASSWD: ALL\n' > "$root/etc/sudoers.d/ops"
chmod 0440 "$root/etc/sudoers.d/ops"

# What differs from host to host is made at the first boot: identity, ssh host keys, own name.
: > "$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/hostname"
cat > "$root/etc/systemd/system/first-boot.service" <<'UNIT'
[Unit]
Description=Host keys and name of this host
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'grep -q "^127.0.1.1" /etc/hosts || printf "127.0.1.1\\t%%s\\n" "$$(hostname)" >> /etc/hosts'
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key

[Install]
WantedBy=multi-user.target
UNIT
printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' > "$root/etc/hosts"
chroot "$root" systemctl --quiet enable first-boot.service ssh.service

# The kernel is the machine's: leave its consoles, its messages, its disks and its global settings alone.
# Timers of apt would hold the package lock at a moment of their own choosing.
chroot "$root" systemctl --quiet mask \
  getty@.service console-getty.service getty-static.service getty.target \
  fstrim.timer e2scrub_all.timer e2scrub_reap.service apt-daily.timer apt-daily-upgrade.timer \
  systemd-binfmt.service proc-sys-fs-binfmt_misc.automount dev-hugepages.mount \
  sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount
for settings in "$root"/usr/lib/sysctl.d/*.conf; do
  ln -sf /dev/null "$root/etc/sysctl.d/$(basename "$settings")"
done
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nReadKMsg=no\nSystemMaxUse=64M\n' > "$root/etc/systemd/journald.conf.d/lab.conf"
