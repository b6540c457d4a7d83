#!/bin/sh
# Jamf Pro policy script: gives everybody on this Mac the key for the enforcer.
#
# $4  a file with the key and nothing else, which only root may read, as another package of the same
#     policy puts it there; it is deleted when everybody has the key
#
# The key itself is no parameter: parameters can be seen by everybody while the script runs.
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

file="${4:-}"
fail() { echo "thoth: $*" >&2; exit 1; }

[ -n "$file" ] || fail "give a file as \$4"
[ -x "$thoth" ] || fail "there is no $thoth"
if [ ! -f "$file" ] || [ -L "$file" ]; then fail "$file is not a file"; fi
[ "$(stat -f '%u %Lp' "$file")" = '0 600' ] || fail "$file must be root's, with mode 600"

failed=0
for name in $(people); do
    if as "$name" set-api-key <"$file"; then echo "$name has the key"; else failed=1; fi
done
[ "$failed" -eq 0 ] || fail "not everybody has the key; $file is kept for another try"
rm -f "$file"
