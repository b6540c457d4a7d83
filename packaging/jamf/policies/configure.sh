#!/bin/sh
# Jamf Pro policy script: writes the managed configuration, which people cannot change and whose
# locked keys they cannot override. An empty parameter leaves its key out.
#
# $4  tenant_id
# $5  env: dev, staging, prod
# $6  enforcer_url: https://...
# $7  enforcement_mode: observe, progressive, step_up, block
# $8  tls_pinned_cert_sha256: pins, separated by commas
# $9  govapi_url: https://...
# $10 policy: rule files of root's and names of packs, separated by commas
# $11 the keys that are locked, separated by commas, or all; empty: every key that is written
#
# A key for the enforcer does not belong here: this file is for everybody to read. See set-key.sh.
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

directory='/Library/Application Support/Thoth'
file="$directory/thoth-config.json"

fail() { echo "thoth: $*; nothing was changed" >&2; exit 1; }

# text VALUE, list VALUES: as JSON writes it, of values that JSON wants nothing escaped of.
text() { printf '"%s"' "$1"; }
list() { printf '["%s"]' "$(printf '%s' "$1" | sed 's/,/", "/g')"; }

# member NAME KIND VALUE: another line of the file.
members='' names=''
member() {
    [ -n "$3" ] || return 0
    case "$3" in *[!A-Za-z0-9._:/,@%+~\ -]*) fail "$1 has a character that does not belong there" ;; esac
    members="$members  \"$1\": $("$2" "$3"),
"
    names="$names${names:+,}$1"
}

# one_of NAME VALUE WORDS...
one_of() {
    name="$1" value="$2"
    shift 2
    [ -n "$value" ] || return 0
    for word in "$@"; do [ "$value" != "$word" ] || return 0; done
    fail "$name is '$value', and must be one of: $*"
}

https() { case "$2" in '' | https://?*) ;; *) fail "$1 must begin with https://" ;; esac; }

mode="${7:-}"
one_of env "${5:-}" dev staging prod
one_of enforcement_mode "$mode" observe progressive step_up block
https enforcer_url "${6:-}"
https govapi_url "${9:-}"

member tenant_id text "${4:-}"
member env text "${5:-}"
member enforcer_url text "${6:-}"
member enforcement_mode text "$mode"
member tls_pinned_cert_sha256 list "${8:-}"
member govapi_url text "${9:-}"
member policy list "${10:-}"
[ -n "$names" ] || fail 'no parameter is set'
locked="${11:-$names}"
case "$locked" in
    all) locked='*' ;;
    *[!a-z0-9_,]*) fail 'the locked keys are names, separated by commas' ;;
esac
member enrollment_source text jamf

install -d -o root -g wheel -m 755 "$directory"
# Not the umask's: thoth refuses a file that others may write.
new="$(mktemp "$directory/.thoth-config.XXXXXX")"
trap 'rm -f "$new"' EXIT
printf '{\n%s  "locked": %s\n}\n' "$members" "$(list "$locked")" >"$new"
chown root:wheel "$new"
chmod 644 "$new"
if cmp -s "$new" "$file"; then
    echo "$file is as it should be"
    exit 0
fi
mv -f "$new" "$file"
echo "wrote $file"
