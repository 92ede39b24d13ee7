# Sourced by the scripts that fetch test dependencies: unpacks Debian packages. It uses their say and fail, and their folders $work
# and $cache.
# shellcheck shell=bash disable=SC2154

need() { command -v "$1" >/dev/null || fail "$1 is needed to fetch $2, and it is not on this machine"; }

# apt-get with lists and downloads of its own, so that neither root nor the machine's apt state is touched.
private_apt_get() {
  apt-get -qq -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)" \
    -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/apt" "$@"
}

# unpack_package FOLDER PACKAGE... unpacks Debian packages, and what they depend on that this machine lacks.
unpack_package() {
  local folder=$1 package
  shift
  need apt-get "$*"
  need dpkg-deb "$*"
  say "fetching Debian's $* into $cache (unpacked there, not installed)"
  mkdir -p "$work/lists/partial" "$folder"
  [[ -e $work/updated ]] || private_apt_get update
  touch "$work/updated"
  rm -rf "$work/apt/archives"
  mkdir -p "$work/apt/archives/partial"
  private_apt_get install --yes --reinstall --download-only --no-install-recommends "$@" >/dev/null
  for package in "$work"/apt/archives/*.deb; do
    dpkg-deb --extract "$package" "$folder"
  done
}
