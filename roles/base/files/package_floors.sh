# Names the installed packages that are below their lowest safe revision. Reads the table from standard input, for
# instance /usr/local/lib/platformctl/package_floors.txt. Exits with 1 if there are any, with 2 if that is not known.
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
installed=$(dpkg-query --show --showformat='${db:Status-Abbrev} ${source:Package} ${source:Version}\n') || exit 2
installed=$(printf '%s\n' "$installed" | sed -n 's/^.i *//p' | sort -u)
below=$(while read -r of source floor why; do
  [ "$of" = "$release" ] || continue
  printf '%s\n' "$installed" | while read -r name version; do
    [ "$name" = "$source" ] || continue
    dpkg --compare-versions "$version" ge "$floor" ||
      echo "$name $version is installed, and $floor is the lowest safe revision ($why)"
  done
done)
[ -n "$below" ] || exit 0
printf '%s\n' "$below"
exit 1
