#!/bin/sh
# Jamf Pro policy script: makes sure that thoth is installed, from a package that is on the Mac.
#
# $4  the least version, such as 0.2.0; empty: any
# $5  the package, cached by the same policy; empty: only look
#     (/Library/Application Support/JAMF/Waiting Room/thoth-macos-universal.pkg)
# $6  the package's SHA-256, from checksums.sha256 of the release; required with $5
# $7  the Apple team that must have signed it; required with $5
set -eu

# --- people: the same lines in every script; Jamf and Kandji run one file at a time
PATH=/usr/bin:/bin:/usr/sbin:/sbin
thoth=/usr/local/bin/thoth

# Everybody with an account and a home on this Mac, one name a line.
people() {
    dscl . -list /Users UniqueID | awk '$2 >= 501 && $1 !~ /^_/ { print $1 }' |
        while read -r name; do if [ -d "$(home_of "$name")" ]; then echo "$name"; fi; done
}

# shellcheck disable=SC2317 # not every script asks for one person
# The person at the screen or, at the login window, the last who was there; may be nobody.
person() {
    name="$(stat -f %Su /dev/console)"
    case "$name" in
        root | loginwindow | _mbsetupuser | '')
            name="$(defaults read /Library/Preferences/com.apple.loginwindow lastUserName \
                2>/dev/null)" || name='' ;;
    esac
    echo "$name"
}

# A path with a space in it stands on a line of its own.
home_of() {
    dscl /Search -read "/Users/$1" NFSHomeDirectory </dev/null |
        sed 's/^NFSHomeDirectory://; s/^ //; /^$/d'
}

# as NAME ARGUMENTS...: thoth as that person, in their home, with nothing of root's environment.
# Never as root: whoever can write to /usr/local/bin would be root, too.
as() {
    name="$1"
    shift
    sudo -n -u "$name" env -i HOME="$(home_of "$name")" USER="$name" LOGNAME="$name" \
        PATH=/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin "$thoth" "$@"
}
# --- people end

least="${4:-}" package="${5:-}" sha256="${6:-}" team="${7:-}"

fail() { echo "thoth: $*" >&2; exit 1; }

# Whether version $1 is at least $2.
at_least() {
    printf '%s\n%s\n' "$2" "$1" |
        awk -F. '{ n = $1 * 1000000 + $2 * 1000 + $3; if (NR == 1) least = n } END { exit (n < least) }'
}

# The version on this Mac; nothing where there is none, or one that does not start. A Mac that is
# being set up has nobody yet.
installed() { [ ! -x "$thoth" ] || sudo -n -u nobody "$thoth" --version | sed 's/^thoth //'; }

sufficient() {
    now="$(installed)" || now=''
    [ -n "$now" ] && { [ -z "$least" ] || at_least "$now" "$least"; }
}

if sufficient; then
    echo "thoth $now is installed"
    exit 0
fi
[ -n "$package" ] || fail "${now:-no version} is installed, wanted is ${least:-any}; give a package as \$5"
[ -f "$package" ] || fail "there is no $package"
[ -n "$sha256" ] || fail "a package needs its SHA-256 as \$6"
[ -n "$team" ] || fail "a package needs its team as \$7"
[ "$(shasum -a 256 "$package" | cut -d ' ' -f 1)" = "$sha256" ] || fail "$package is not what \$6 says"
signature="$(pkgutil --check-signature "$package")" || fail "$package is not signed"
# The team stands in brackets behind the developer's name, on the line of the leaf certificate.
case "$signature" in
    *'issued by Apple for distribution'*"1. Developer ID Installer: "*"($team)"*) ;;
    *) fail "$package is not signed by $team" ;;
esac
installer -pkg "$package" -target / >/dev/null
sufficient || fail "the package is installed, and thoth ${now:-does not start}"
echo "installed thoth $now"
