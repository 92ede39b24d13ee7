# Copyright The githubexporter Authors
# SPDX-License-Identifier: Apache-2.0

# Sourced by the scripts that fetch test dependencies: unpacks Debian packages. It uses their info and fail, and their
# folders $work and $cache.
# shellcheck shell=bash disable=SC2154

need() { command -v "$1" >/dev/null || fail "$1 is needed to fetch $2, and it is not on this machine"; }

# apt-get with lists and downloads of its own, so that neither root nor the machine's apt state is touched.
private_apt_get() {
  apt-get -qq -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)" \
    -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/apt" "$@"
}

# is_installed PACKAGE says whether this machine has a package.
is_installed() { [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# dependencies_of PACKAGE lists the package and all its dependencies, also the installed ones.
dependencies_of() {
  private_apt_get -o Dir::State::Status="$work/nothing-installed" install --simulate --no-install-recommends "$1" |
    awk '$1 == "Inst" { print $2 }'
}

# select_packages PATTERN... reads names of packages and prints those that are fetched: those that match a PATTERN,
# installed or not, and those that this machine lacks.
select_packages() {
  local package pattern
  while read -r package; do
    for pattern in "$@"; do
      # shellcheck disable=SC2053 # it is a pattern
      if [[ $package == $pattern ]]; then
        printf '%s\n' "$package"
        continue 2
      fi
    done
    is_installed "$package" || printf '%s\n' "$package"
  done
}

# unpack_package FOLDER PACKAGE PATTERN... unpacks a Debian package, what it depends on that this machine lacks, and all
# that match a PATTERN: the programs that must lie in one folder, also where they are installed.
unpack_package() {
  local folder=$1 package=$2 deb
  local -a packages
  shift 2
  need apt-get "$package"
  need dpkg-deb "$package"
  need dpkg-query "$package"
  info "fetching Debian's $package into $cache (unpacked there, not installed)"
  mkdir -p "$work/lists/partial" "$folder"
  [[ -e $work/updated ]] || private_apt_get update
  touch "$work/updated" "$work/nothing-installed"
  rm -rf "$work/apt/archives"
  mkdir -p "$work/apt/archives/partial" "$work/debs"
  mapfile -t packages < <(dependencies_of "$package" | select_packages "$package" "$@")
  ((${#packages[@]} > 0)) || fail "apt-get knows no package $package"
  rm -f "$work"/debs/*.deb
  (cd "$work/debs" &&
    private_apt_get -o Dir::State::Status="$work/nothing-installed" download "${packages[@]}" >/dev/null)
  for deb in "$work"/debs/*.deb; do
    dpkg-deb --extract "$deb" "$folder"
  done
}
