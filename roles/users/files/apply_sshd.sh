sshd -t || exit 1
if ! sshd -T -C user=nobody,host=localhost,addr=127.0.0.1 | grep -qx 'pamservicename platformctl-sshd'; then
  echo "sshd does not read /etc/ssh/sshd_config.d/10-platformctl.conf: begin /etc/ssh/sshd_config with" \
    "Include /etc/ssh/sshd_config.d/*.conf, or set users_login: anyone for this host" >&2
  exit 1
fi
systemctl reload ssh.service
