#!/bin/sh
# Builds the test world in the network and mount namespaces it finds itself in (as root, or as mapped root of a user namespace),
# then runs the program. Stays as its parent: as process 1 of a process namespace it collects orphans, and all end with it.
#   enter.sh FOLDER UID GID "ADDRESS/LENGTH ..." PROGRAM [ARGUMENT ...]
# UID "-" is a real root; otherwise a nested user namespace maps uid and gid back (bwrap refuses without the gid).
# A failure says what failed on standard error and exits with 97.
set -u
folder=$1 uid=$2 gid=$3 addresses=$4
shift 4
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

fail() {
  echo "$1" >&2
  exit 97
}
must() {
  said=$("$@" 2>&1) || fail "$*: $said"
}

command -v ip > /dev/null || fail "the command ip is missing (package iproute2)"
must ip link set lo up
ipv6=yes
for address in $addresses; do
  case $address in
    *:*)
      # Without duplicate address detection it can be bound at once. A machine may have IPv6 switched off.
      ip -6 address add "$address" dev lo nodad 2> /dev/null || ipv6="cannot add $address to lo (is IPv6 switched off?)" ;;
    *) must ip address add "$address" dev lo ;;
  esac
done
# The public addresses that `freshAddress` hands out: local without being listed one by one.
must ip route add local 20.30.40.0/21 dev lo
# Sent out through lo, such packets come back, are for nobody and are dropped: a firewall that says nothing.
must ip route add 20.30.99.0/24 dev lo src 20.30.40.50
must ip route add unreachable 20.30.98.0/24

# Origins listen on port 80 and the DNS server on 53, also without privileges. This setting belongs to the network namespace.
{ echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start; } 2> /dev/null || [ "$uid" = - ] ||
  fail "cannot write /proc/sys/net/ipv4/ip_unprivileged_port_start"

for name in resolv.conf hosts nsswitch.conf; do
  # A missing resolv.conf means a server on 127.0.0.1, and one listens there.
  [ -e "/etc/$name" ] && must mount --bind "$folder/etc/$name" "/etc/$name"
done

export TEST_WORLD_IPV6="$ipv6"
if [ "$uid" = - ]; then
  "$@"
else
  unshare --user --map-user="$uid" --map-group="$gid" "$@"
fi
# Not the last command, so that no shell replaces itself by the program.
exit $?
