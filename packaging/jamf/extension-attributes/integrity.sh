#!/bin/sh
# Jamf Pro extension attribute. Data type: String. Input type: Script.
# ok, or what is wrong with the program itself. What the other attributes say is worth as much as
# this one: whoever can replace the program can make it say anything.
set -eu
PATH=/usr/bin:/bin:/usr/sbin:/sbin
thoth=/usr/local/bin/thoth

# The Apple team that signed the package you deployed; left empty, the signature is not looked at.
team=''

result() { printf '<result>%s</result>\n' "$1"; exit 0; }

[ -e "$thoth" ] || result 'not installed'
[ ! -L "$thoth" ] || result 'the program is a link'
for path in "$thoth" "${thoth%/*}" "${thoth%/*/*}"; do
    [ "$(stat -f %u "$path")" = 0 ] || result "$path is not owned by root"
    # The last three digits: owner, group, others.
    case "$(stat -f %Lp "$path")" in
        *[2367]? | *[2367]) result "$path can be written by others than root" ;;
    esac
done
if [ -n "$team" ]; then
    codesign --verify --strict -R="anchor apple generic and certificate leaf[subject.OU] = \"$team\"" \
        "$thoth" 2>/dev/null || result "not signed by $team"
fi
result ok
