#!/bin/sh
# Jamf Pro policy script, for the Smart Group "thoth: ungoverned servers is more than 0": wraps what
# came since, and says what is left.
#
# Exit code: 0 where nothing failed. Servers that cannot be wrapped, such as URLs, are told in the
# policy's log and stay in the Smart Group: they are a person's decision, not an error.
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

[ -x "$thoth" ] || { echo "thoth: there is no $thoth" >&2; exit 1; }

failed=0
for name in $(people); do
    code=0
    as "$name" wrap-config --all --check --drift </dev/null >/dev/null 2>&1 || code=$?
    case "$code" in
        0) echo "$name: nothing to wrap" ;;
        10)
            echo "== $name"
            # 10: wrapped what can be, and a server waits for a person; it is told below.
            as "$name" wrap-config --all </dev/null || [ "$?" -eq 10 ] || failed=1
            ;;
        *) echo "$name: cannot be checked, exit code $code"; failed=1 ;;
    esac
    as "$name" wrap-config --all --check </dev/null || echo "$name: the servers above are left"
done
exit "$failed"
