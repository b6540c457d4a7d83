#!/bin/sh
# Kandji custom script, audit: exit code 0 where every server is wrapped that can be; 1 starts the
# remediation script. Execution frequency: every 15 minutes or daily. Servers that cannot be wrapped,
# such as URLs, are in the log; without --drift below, they fail the audit, too.
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

[ -x "$thoth" ] || { echo "thoth: there is no $thoth"; exit 1; }

wanting=0
for name in $(people); do
    code=0
    told="$(as "$name" wrap-config --all --check --drift </dev/null 2>&1)" || code=$?
    case "$code" in
        0) printf '%s: governed\n%s\n' "$name" "$told" ;;
        10) printf '%s: ungoverned\n%s\n' "$name" "$told"; wanting=1 ;;
        *) printf '%s: cannot be checked, exit code %s\n%s\n' "$name" "$code" "$told"; wanting=1 ;;
    esac
done
who="$(person)"
if [ -n "$who" ]; then
    # For the log only: wrapping cannot mend an enforcer that is away.
    as "$who" health </dev/null || true
fi
exit "$wanting"
