//! TOML, as Codex has it.

use super::*;

#[test]
fn tables_keep_their_comments_and_their_order() {
    let original = r#"model = "o3" # mine

[mcp_servers.docs]
command = "npx" # the runner
args = [
    "-y", # yes
    "docs",
]
startup_timeout_sec = 20

[mcp_servers.docs.env]
"TOKEN" = "x"

[mcp_servers.'a b']
  command = 'C:\Program Files\x.exe'   # a literal

[mcp_servers.inline]
command = """npx"""
args = []
env = { A = "1" }
"#;
    assert_eq!(
        there_and_back(original, &CODEX, with_path),
        r#"model = "o3" # mine

[mcp_servers.docs]
command = "/opt/thoth" # the runner
args = [
    "run", "--agent-id", "docs", "--undo", "env.PATH", "--", "npx", "-y", # yes
    "docs",
]
startup_timeout_sec = 20

[mcp_servers.docs.env]
"TOKEN" = "x"
PATH = "/usr/bin"

[mcp_servers.'a b']
  command = "/opt/thoth"   # a literal
  args = ["run", "--agent-id", "a b", "--undo", "args,env,env.PATH", "--", 'C:\Program Files\x.exe']
  env = { PATH = "/usr/bin" }

[mcp_servers.inline]
command = "/opt/thoth"
args = ["run", "--agent-id", "inline", "--undo", "env.PATH", "--", """npx"""]
env = { A = "1", PATH = "/usr/bin" }
"#
    );
}

#[test]
fn braces_and_dots_are_read_as_well() {
    let original = "[mcp_servers]\r\nb = {command=\"b\"}\r\na.command = 'a'\r\na.env.A = '1'\r\n\
                    [mcp_servers.c.env]\r\n[mcp_servers.c]\r\ncommand='c'";
    assert_eq!(
        there_and_back(original, &CODEX, with_path),
        "[mcp_servers]\r\nb = {command=\"/opt/thoth\",args=[\"run\", \"--agent-id\", \"b\", \
         \"--undo\", \"args,env,env.PATH\", \"--\", \"b\"],env={ PATH = \"/usr/bin\" }}\r\n\
         a.command = \"/opt/thoth\"\r\n\
         a.args = [\"run\", \"--agent-id\", \"a\", \"--undo\", \"args,env.PATH\", \"--\", 'a']\r\n\
         a.env.A = '1'\r\na.env.PATH = \"/usr/bin\"\r\n\
         [mcp_servers.c.env]\r\nPATH = \"/usr/bin\"\r\n[mcp_servers.c]\r\n\
         command=\"/opt/thoth\"\r\n\
         args = [\"run\", \"--agent-id\", \"c\", \"--undo\", \"args,env.PATH\", \"--\", 'c']"
    );
}

#[test]
fn a_command_in_a_table_of_its_own_is_told_to_be_changed() {
    let original = "[mcp_servers.a]\n[mcp_servers.a.command]\npath = \"npx\"\nargs = [\"-y\"]\n";
    let wrapped = read(original, &CODEX).wrap(plainly);
    assert_eq!(wrapped.changed, [0]);
    let unwrapped = Document::read(&wrapped.text, &CODEX).unwrap().unwrap(|_| true);
    assert_eq!((&unwrapped.changed[..], &unwrapped.text[..]), (&[0][..], original.as_bytes()));
}
