#!/bin/sh
# Jamf Pro policy script: unwraps every server, then removes thoth.
#
# $4  force: remove it even where somebody's files cannot be unwrapped; their wrapped servers will
#     not start any more
# $5  purge: remove the managed configuration, too
#
# People's ~/.thoth, with their journals, stays: it is theirs.
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

agent=/Library/LaunchAgents/io.github.thoth-mcp.heal.plist

failed=0
# First, or it would wrap again what is unwrapped here.
if [ -e "$agent" ]; then
    for name in $(people); do
        launchctl bootout "gui/$(id -u "$name")/io.github.thoth-mcp.heal" 2>/dev/null || true
    done
    rm -f "$agent"
fi
if [ -x "$thoth" ]; then
    for name in $(people); do
        echo "== $name"
        as "$name" unwrap-config --all </dev/null || failed=1
    done
fi
if [ "$failed" -ne 0 ] && [ "${4:-}" != force ]; then
    echo 'thoth: not everything is unwrapped, so thoth stays; force removes it all the same' >&2
    exit 1
fi
for package in io.github.thoth-mcp.heal io.github.thoth-mcp.cli; do
    pkgutil --only-files --files "$package" 2>/dev/null |
        while read -r path; do rm -f "/$path"; done
    pkgutil --forget "$package" >/dev/null 2>&1 || true
done
# Where it came without a package.
rm -f "$thoth"
if [ "${5:-}" = purge ]; then rm -rf '/Library/Application Support/Thoth'; fi
echo 'thoth is removed'
