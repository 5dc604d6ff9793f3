#!/bin/sh
# Makes the secrets of compose.yaml that are not there yet, and writes Valkey's users anew, as
# ../one/users.acl has them. Run as root: each belongs to the user that reads it in its container.
#
#   sudo sh deploy/compose/secrets.sh [FOLDER]
#
# Keep a copy of id-key: with another key the roster has to be loaded again.
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
into=${1:-$here/secrets}
clearway=10001 valkey=999 prometheus=65534 grafana=472

random() { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'; }

# own USER NAME: it is this user's, who alone may read it.
own() { chmod 400 "$into/$2" && chown "$1" "$into/$2"; }

# make USER NAME: 32 bytes, hexadecimal, where there is no such file.
make() {
    [ -s "$into/$2" ] || random >"$into/$2"
    own "$1" "$2"
}

mkdir -p "$into"
make $clearway id-key
make $grafana grafana-password
echo 'user default off' >"$into/users.new"
echo 'user health on nopass resetchannels -@all +ping' >>"$into/users.new"
for user in service loader operator; do
    make $clearway $user-password
    hash=$(sha256sum "$into/$user-password" | cut -d ' ' -f 1)
    sed -n "s/>CHANGE-[A-Z]*/#$hash/; /^user clearway-$user /p" "$here/../one/users.acl" >>"$into/users.new"
done
# Into the same file where there is one: the container has that.
cat "$into/users.new" >"$into/users.acl"
rm "$into/users.new"
own $valkey users.acl
# Filled by `keys create`, once the service runs.
[ -e "$into/prometheus-key" ] || : >"$into/prometheus-key"
own $prometheus prometheus-key
