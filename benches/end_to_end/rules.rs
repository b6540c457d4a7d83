//! The policy of the governed rows: 100 rules, as a team would have them after two years.
//!
//! For either of the called tools 22 rules match by tool. Ten or eleven of them have a condition,
//! over strings, a regular expression, numbers, the session and the agent; two of those read all
//! of a large argument. The other 78 name other tools, half of them with a condition that is then
//! not evaluated. All that applies says allow: a call that is refused would be a cheap one.

/// Rules about `read_file` and `write_file`; `effect`, then what else stands in the rule.
const MATCHING: &[(&str, &str, &str)] = &[
    // Conditions over the arguments.
    ("allow", "*_file", r#"when = 'args.path.startsWith("/srv/workspace/")'"#),
    ("block", "*_file", r#"when = 'args.path.contains("/.")'"#),
    ("block", "*_file", r#"when = 'args.path.contains("..")'"#),
    ("block", "*_file", r#"when = 'args.path.endsWith(".pem") || args.path.endsWith(".key")'"#),
    ("block", "*_file", r#"when = 'args.path.matches("(?i)/(secrets?|credentials|private)/")'"#),
    ("step_up", "*_file", r"when = 'has(args.limit) && args.limit > 100000'"),
    ("block", "*_file", r"when = 'size(args.path) > 4096'"),
    (
        "step_up",
        "*_file",
        r#"when = 'has(args.content) && args.content.contains("PRIVATE KEY-----")'"#,
    ),
    ("step_up", "*_file", r"when = 'has(args.content) && size(args.content) > 16000000'"),
    // Conditions over who calls, and what was called before.
    ("block", "*_file", r#"when = 'agent.startsWith("guest-") || environment == "sandbox"'"#),
    ("step_up", "*_file", r#"when = 'session.count("query_customers") > 3'"#),
    // None.
    ("allow", "read_*", ""),
    ("allow", "write_*", ""),
    ("allow", "*_file", r#"agents = ["bench*", "editor-*"]"#),
    ("allow", "*_file", r#"environments = ["dev", "staging"]"#),
    ("allow", "*_file", r#"agents = ["*"]"#),
    ("allow", "?*_file", r#"controls = ["SOC2 CC6.1"]"#),
    ("allow", "*?_file", r#"controls = ["HIPAA 164.312(a)(1)"]"#),
    ("allow", "*file", r#"controls = ["ISO 27001 A.8.3"]"#),
    ("block", "*_file", r#"agents = ["guest-*", "intern-*"]"#),
    ("block", "*_file", r#"intents = ["marketing_*"]"#),
    ("allow", "*", r#"agents = ["bench"]"#),
];

/// Tools of other servers, about which the rest of the rules speak.
const OTHER_TOOLS: &[&str] = &[
    "delete_*",
    "git_*",
    "query_*",
    "browser_*",
    "send_email",
    "slack_*",
    "create_issue",
    "run_command",
    "kubectl_*",
    "terraform_*",
    "get_patient_*",
    "update_record",
    "s3_*",
];

/// What those rules say.
const OTHER_EFFECTS: &[(&str, &str)] = &[
    ("block", r#"when = 'has(args.target) && args.target.startsWith("prod-")'"#),
    ("allow", r#"agents = ["release-*"]"#),
    ("step_up", r"when = '!has(args.dry_run) || args.dry_run == false'"),
    ("block", r#"intents = ["triage", "review_*"]"#),
];

const HEAD: &str = "[policy]\nid = \"bench\"\nversion = 1\ndefault = \"block\"\n";

/// How many rules there are.
const RULES: usize = 100;

/// The text of the policy file. The rules that match stand among the others, as in a file that grew.
pub(crate) fn policy() -> String {
    let others = RULES - MATCHING.len();
    let every = others / MATCHING.len();
    let mut text = vec![HEAD.to_owned()];
    for nth in 0..others {
        if nth % every == 0
            && let Some((effect, tool, rest)) = MATCHING.get(nth / every)
        {
            text.push(rule(&format!("files-{nth}"), effect, tool, rest));
        }
        let (effect, rest) = OTHER_EFFECTS[nth % OTHER_EFFECTS.len()];
        let tool = OTHER_TOOLS[nth % OTHER_TOOLS.len()];
        text.push(rule(&format!("other-{nth}"), effect, tool, rest));
    }
    text.concat()
}

fn rule(id: &str, effect: &str, tool: &str, rest: &str) -> String {
    format!(
        "\n[[rule]]\nid = \"{id}\"\ntools = [\"{tool}\"]\n{rest}\neffect = \"{effect}\"\n\
         reason = \"rule {id} of the bench applies\"\n"
    )
}
