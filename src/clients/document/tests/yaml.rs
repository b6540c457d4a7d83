//! YAML, as Goose and Continue have it.

use super::*;

#[test]
fn blocks_keep_their_comments_and_their_order() {
    let original = "\
extensions:
  # mine
  fetch:
    args:
      - mcp-server-fetch   # the server
      # and
      - --flag
    cmd: uvx # the runner
    envs:
      TOKEN: x
    type: stdio
  bare:
    cmd: 'bare'
    envs: {}
  builtin:
    type: builtin
GOOSE_MODEL: é
";
    let document = read(original, &GOOSE);
    assert_eq!(document.servers().len(), 3);
    let all_but_last = |server: &Server| with_path(server).filter(|_| server.name != "builtin");
    let wrapped = document.wrap(all_but_last);
    assert_eq!(wrapped.refused, []);
    assert_eq!(
        text(&wrapped),
        "\
extensions:
  # mine
  fetch:
    args:
      - \"run\"
      - \"--agent-id\"
      - \"fetch\"
      - \"--undo\"
      - \"env.PATH\"
      - \"--\"
      - uvx
      - mcp-server-fetch   # the server
      # and
      - --flag
    cmd: \"/opt/thoth\" # the runner
    envs:
      TOKEN: x
      PATH: \"/usr/bin\"
    type: stdio
  bare:
    cmd: \"/opt/thoth\"
    args: [\"run\", \"--agent-id\", \"bare\", \"--undo\", \"args,env.PATH\", \"--\", 'bare']
    envs: {PATH: \"/usr/bin\"}
  builtin:
    type: builtin
GOOSE_MODEL: é
"
    );
    let back = read(text(&wrapped), &GOOSE).unwrap(|_| true);
    assert_eq!(text(&back), original);
}

#[test]
fn a_list_of_entries_has_their_names_inside() {
    let original = "\
mcpServers:
- name: a
  command: npx
  args: [ -y, 'b' ]
- command: c:\\x y\\é.exe
  name: d
- {name: e, command: f}
";
    assert_eq!(
        there_and_back(original, &CONTINUE, with_path),
        "\
mcpServers:
- name: a
  command: \"/opt/thoth\"
  env: {PATH: \"/usr/bin\"}
  args: [ \"run\", \"--agent-id\", \"a\", \"--undo\", \"env,env.PATH\", \"--\", npx, -y, 'b' ]
- command: \"/opt/thoth\"
  args: [\"run\", \"--agent-id\", \"d\", \"--undo\", \"args,env,env.PATH\", \"--\", c:\\x y\\é.exe]
  env: {PATH: \"/usr/bin\"}
  name: d
- {name: e, command: \"/opt/thoth\", args: [\"run\", \"--agent-id\", \"e\", \"--undo\", \
         \"args,env,env.PATH\", \"--\", f], env: {PATH: \"/usr/bin\"}}
"
    );
}

#[test]
fn members_without_a_value_get_one_and_lose_it_again() {
    let original = "mcpServers:\n- name: a\n  command: npx\n  env:  # c\n  timeout: 1\n";
    assert_eq!(
        there_and_back(original, &CONTINUE, with_path),
        "mcpServers:\n- name: a\n  command: \"/opt/thoth\"\n  args: [\"run\", \"--agent-id\", \"a\", \
         \"--undo\", \"args,env=,env.PATH\", \"--\", npx]\n  env: {PATH: \"/usr/bin\"}  # c\n  \
         timeout: 1\n"
    );
}
