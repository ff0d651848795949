#!/bin/bash
# Unpacks Oracle MySQL from Debian's unstable suite into DIR/tree, and writes a launcher for its
# server to DIR/tree/mysqld. Installs nothing. Fetches 65 MB, which unpack to 190 MB.
# Does nothing if the server is there already. The last line on stderr is the error message.
# usage: get-mysql.sh DIR
set -euo pipefail
umask 022

fail() {
  echo "$1" >&2
  exit 1
}

runs() {
  "$1/mysqld" --no-defaults --version > /dev/null
}

type -P apt-get dpkg flock > /dev/null || fail 'MySQL can only be fetched on Debian.'

mkdir "$1" 2> /dev/null || true
if [ ! -d "$1" ] || [ -L "$1" ] || [ ! -O "$1" ]; then
  fail "MySQL cannot be kept in $1, because that is not a directory of this user's."
fi
cd "$1"
dir=$PWD

# Only one process fetches. The others wait, and then find the server.
exec 9> lock
flock 9
runs tree 2> /dev/null && exit
rm -rf fetch tree

mirror=$(awk '
  /security/ { next }
  /^URIs:/ { print $2; exit }
  /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^(http|mirror)/) { print $i; exit } }
' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2> /dev/null) || true
[ "$mirror" ] || fail 'MySQL cannot be fetched, because no Debian mirror is set up on this machine.'

mkdir -p fetch/apt/{lists,cache/archives}/partial fetch/tree
: > fetch/apt/status
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" \
  > fetch/apt/sources.list
apt() {
  apt-get -qq -y -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any \
    -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 \
    -o Dir::State::lists="$dir/fetch/apt/lists" -o Dir::State::status="$dir/fetch/apt/status" \
    -o Dir::Cache="$dir/fetch/apt/cache" \
    -o Dir::Etc::sourcelist="$dir/fetch/apt/sources.list" -o Dir::Etc::sourceparts=- "$@" >&2
}
apt update || fail "MySQL cannot be fetched: this machine's mirror does not serve Debian's sid suite."
apt --download-only --no-install-recommends install mysql-server-core ||
  fail "MySQL cannot be fetched: the download of Debian's package mysql-server-core failed."

for deb in fetch/apt/cache/archives/*.deb; do
  case ${deb##*/} in perl* | libperl* | libdb5* | libgdbm*) continue ;; esac
  dpkg -x "$deb" fetch/tree
done
rm -rf fetch/tree/usr/{bin,share/doc,share/man}

loader=$(cd fetch/tree && echo usr/lib/*/ld*.so.*)
[ -f "fetch/tree/$loader" ] ||
  fail "MySQL was fetched, but its loader for $(dpkg --print-architecture) was not found."
# The tree has its own C library, which only its own loader can load.
cat > fetch/tree/mysqld <<LAUNCHER
#!/bin/sh
tree=\${0%/*}
exec "\$tree/$loader" --library-path "\$tree/${loader%/*}" "\$tree/usr/sbin/mysqld" "\$@" \\
  --basedir="\$tree/usr" --plugin-dir="\$tree/usr/lib/mysql/plugin" \\
  --lc-messages-dir="\$tree/usr/share/mysql" --character-sets-dir="\$tree/usr/share/mysql/charsets"
LAUNCHER
chmod 755 fetch/tree/mysqld
runs fetch/tree || fail 'MySQL was fetched, but does not run here.'

mv fetch/tree tree
rm -rf fetch
