#!/bin/sh
# An MCP server for tests, in a shell: writes down what it reads in $1/seen, and the starts of its
# own in $1/starts. A call that has to wait does so until there is a file $1/gate.

home=$1
echo "$$" >>"$home/starts"
say() { printf '%s\n' "$1"; }
result() { say "{\"jsonrpc\":\"2.0\",\"id\":$1,\"result\":$2}"; }
text() { result "$1" "{\"content\":[{\"type\":\"text\",\"text\":\"$2\"}],\"resultType\":\"complete\"}"; }

asked=
while read -r line; do
    printf '%s\n' "$line" >>"$home/seen"
    id=${line#*\"id\":}
    id=${id%%[,\}]*}
    token=${line#*\"progressToken\":}
    token=${token%%[,\}]*}
    case $line in
    *'"id":"ask-1"'*) text "$asked" "asked" ;;
    *'"method":"initialize"'*)
        result "$id" '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}' ;;
    *'"method":"server/discover"'*)
        result "$id" '{"supportedVersions":["2026-07-28"],"capabilities":{},"resultType":"complete"}' ;;
    *'"method":"tools/list"'*)
        result "$id" '{"tools":[{"name":"send","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"deep":{"type":"object","properties":{"count":{"type":"integer","x-mcp-header":"Count"}}}}}}],"resultType":"complete"}' ;;
    *'"method":"no/such"'*)
        say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"error\":{\"code\":-32601,\"message\":\"no such method\"}}" ;;
    *'"method":"subscriptions/listen"'*)
        say "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":$id}}}" ;;
    *'"name":"progress"'*)
        say "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":$token,\"progress\":1}}"
        {
            until [ -e "$home/gate" ]; do sleep 0.02; done
            say "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":$token,\"progress\":2}}"
            text "$id" "after progress"
        } & ;;
    *'"name":"wait"'*)
        { until [ -e "$home/gate" ]; do sleep 0.02; done; text "$id" "waited"; } & ;;
    *'"name":"ask"'*)
        asked=$id
        say '{"jsonrpc":"2.0","id":"ask-1","method":"roots/list"}' ;;
    *'"name":"news"'*)
        say '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"said"}}'
        say '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
        text "$id" "told" ;;
    *'"name":"banner"'*)
        echo 'Listening on stdio'
        printf '{"jsonrpc":"2.0","id":%s,\r"result":{"content":[]}}\n' "$id" ;;
    *'"name":"die"'*) exit 3 ;;
    *'"name":"hang"'*) ;;
    *'"name":"big"'*)
        text "$id" "$(head -c 200000 /dev/zero | tr '\0' x)" ;;
    *'"name":'*) text "$id" "pid $$" ;;
    *'"method":"ping"'*) result "$id" '{}' ;;
    esac
done
