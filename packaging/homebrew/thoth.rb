# The formula of the tap, filled in by the release workflow.
class Thoth < Formula
  desc "Governance sidecar for MCP: every tool call is held until it is decided"
  homepage "https://github.com/thoth-mcp/thoth"
  version "@VERSION@"
  license "Apache-2.0"

  on_macos do
    url "https://github.com/thoth-mcp/thoth/releases/download/v@VERSION@/thoth-@VERSION@-macos-universal.tar.gz"
    sha256 "@SHA256_MACOS@"
  end

  on_linux do
    on_intel do
      url "https://github.com/thoth-mcp/thoth/releases/download/v@VERSION@/thoth-@VERSION@-linux-x86_64.tar.gz"
      sha256 "@SHA256_LINUX_X86_64@"
    end
    on_arm do
      url "https://github.com/thoth-mcp/thoth/releases/download/v@VERSION@/thoth-@VERSION@-linux-aarch64.tar.gz"
      sha256 "@SHA256_LINUX_AARCH64@"
    end
  end

  def install
    bin.install "bin/thoth"
    man1.install Dir["share/man/man1/*.1"]
    pkgshare.install "share/thoth/policies"
    generate_completions_from_executable(bin/"thoth", "completions", shells: [:bash, :zsh, :fish])
  end

  def caveats
    <<~TEXT
      Wrap the MCP servers of every client on this machine, and look at them:
        thoth wrap-config --all
        thoth status
      Before you uninstall thoth:
        thoth unwrap-config --all
    TEXT
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/thoth --version")
    (testpath/"rules.toml").write <<~TOML
      [policy]
      id = "test"
      version = 1
      default = "block"
    TOML
    system bin/"thoth", "policy", "check", testpath/"rules.toml"
  end
end
