"""Every command: its words, its flags, and where its code is. Code is imported only when its command runs."""

from __future__ import annotations

from typing import Any

from pulumi_embedded.cli.command import Command
from pulumi_embedded.cli.flags import Flag
from pulumi_embedded.cli.update_flags import DESTROY_FLAGS, IMPORT_FLAGS, PREVIEW_FLAGS, REFRESH_FLAGS, UP_FLAGS

STACK = Flag("stack", "The name of the stack to operate on. Defaults to the current stack", "string", "s")
YES = Flag("yes", "Skip confirmation prompts", short="y")
JSON = Flag("json", "Emit output as JSON", short="j")
OUTPUT = Flag("output", 'Output format: default or json (default "default")', "string")
CONFIG_FILE = Flag(
    "config-file", "Use the configuration values in the specified file rather than detecting the file name", "string"
)
PATH = Flag("path", "The key contains a path to a property in a map or list")
SHOW_SECRETS = Flag("show-secrets", "Show secrets in plaintext instead of [secret]")
SECRETS_PROVIDER = Flag(
    "secrets-provider", "How secrets are encrypted (the embedded engine knows passphrase)", "string"
)

_ABOUT = (
    Command("version", "Print the version of the Pulumi CLI whose contract this engine keeps", "about:version"),
    Command("about", "Print information about the Pulumi environment", "about:about",
            flags=(STACK, JSON, OUTPUT, Flag("transitive", "Include transitive dependencies", short="t"))),
    Command("whoami", "Display the current logged-in user", "about:whoami",
            flags=(JSON, OUTPUT, Flag("verbose", "Print detailed whoami information", short="v"))),
    Command("login", "Log in to a state backend (file://<folder>)", "about:login", "[url]", arguments=(0, 1),
            flags=(Flag("cloud-url", "The backend to log in to", "string", "c"),
                   Flag("local", "Keep the state in the home folder (file://~)", short="l"),
                   Flag("insecure", "", hidden=True), Flag("interactive", "", hidden=True),
                   Flag("default-org", "", "string", refused="a default organization", hidden=True))),
    Command("logout", "Log out of a state backend", "about:logout", "[url]", arguments=(0, 1),
            flags=(Flag("all", "Log out of all backends"),
                   Flag("cloud-url", "The backend to log out of", "string", "c"),
                   Flag("local", "Log out of file://~", short="l"))),
)  # fmt: skip

_STACKS = (
    Command("stack", "Manage stacks and view stack state", "stack_show:show",
            flags=(STACK, OUTPUT, SHOW_SECRETS, JSON, Flag("show-ids", "Display each resource's id", short="i"),
                   Flag("show-name", "Display only the stack name"),
                   Flag("show-urns", "Display each resource's URN", short="u"))),
    Command("stack new", "Create an empty stack with the given name, ready for updates", "stacks:create",
            "<stack-name>", arguments=(0, 1), aliases=("init", "create", "setup"),
            flags=(STACK, YES, SECRETS_PROVIDER, Flag("no-select", "Do not select the stack"),
                   Flag("copy-config-from", "The name of the stack to copy existing config from", "string"),
                   Flag("teams", "", "list", refused="teams (--teams)", hidden=True))),
    Command("stack select", "Switch the current workspace to the given stack", "stacks:select", "[stack]",
            arguments=(0, 1),
            flags=(STACK, SECRETS_PROVIDER, Flag("create", "If the stack does not exist, create it", short="c"))),
    Command("stack unselect", "Reset the stack selection of the current workspace", "stacks:unselect"),
    Command("stack list", "List stacks", "stacks:list_stacks", aliases=("ls",),
            flags=(JSON, OUTPUT, Flag("all", "List the stacks of all projects", short="a"),
                   Flag("project", "Only stacks of this project", "string", "p"),
                   Flag("organization", "Only stacks of this organization", "string", "o"),
                   Flag("tag", "Only stacks with this tag (name or name=value)", "string", "t"))),
    Command("stack remove", "Remove a stack and its configuration", "stacks:remove", "[stack-name]",
            arguments=(0, 1), aliases=("rm", "delete"),
            flags=(STACK, YES, Flag("force", "Remove the stack though it still has resources", short="f"),
                   Flag("preserve-config", "Do not delete the stack's Pulumi.<stack>.yaml"),
                   Flag("remove-backups", "Additionally remove backups of the stack"))),
    Command("stack rename", "Rename an existing stack", "stacks:rename", "<new-stack-name>", arguments=(1, 1),
            flags=(STACK,)),
    Command("stack output", "Show a stack's output properties", "stack_data:output", "[property-name]",
            arguments=(0, 1), flags=(STACK, JSON, SHOW_SECRETS, Flag("shell", "Emit output as a shell script"))),
    Command("stack export", "Export a stack's deployment to standard out", "stack_data:export",
            flags=(STACK, SHOW_SECRETS, Flag("file", "A file to write the deployment to", "string"),
                   Flag("version", "", "string", refused="exporting an older version (--version)", hidden=True))),
    Command("stack import", "Import a deployment from standard in into an existing stack", "stack_data:import_",
            flags=(STACK, Flag("file", "A file to read the deployment from", "string"),
                   Flag("force", "Import it though it looks wrong", short="f"))),
    Command("stack history", "Display history for a stack", "stack_data:history", aliases=("hist",),
            flags=(STACK, JSON, OUTPUT, SHOW_SECRETS, Flag("full-dates", "Show full dates, not relative ones"),
                   Flag("page", "Which page to show (default 1)", "int", default=1),
                   Flag("page-size", "How many updates a page has (default 10, all with --json)", "int"))),
    Command("stack tag", "Manage stack tags", "", flags=(STACK,)),
    Command("stack tag get", "Get a single stack tag value", "stack_data:tag_get", "<name>", (STACK,), (1, 1)),
    Command("stack tag set", "Set a stack tag", "stack_data:tag_set", "<name> <value>", (STACK,), (2, 2)),
    Command("stack tag remove", "Remove a stack tag", "stack_data:tag_remove", "<name>", (STACK,), (1, 1),
            aliases=("rm",)),
    Command("stack tag list", "List all stack tags", "stack_data:tag_list", flags=(STACK, JSON, OUTPUT),
            aliases=("ls",)),
    Command("stack change-secrets-provider", "Encrypt a stack's secrets with another passphrase",
            "stack_data:change_provider", "<provider>", (STACK,), (1, 1)),
    Command("stack graph", "Export a stack's dependency graph to a file, in the DOT language", "stack_graph:graph",
            "<filename>", arguments=(1, 1),
            flags=(STACK, Flag("ignore-parent-edges", "Leave out edges from children to parents"),
                   Flag("ignore-dependency-edges", "Leave out edges of dependencies"),
                   Flag("dependency-edge-color", "The color of dependency edges", "string", default="#246C60"),
                   Flag("parent-edge-color", "The color of parent edges", "string", default="#AA6639"),
                   Flag("short-node-name", "Label nodes with resource names instead of URNs"),
                   Flag("dot-fragment", "DOT text to put at the head of the graph", "string"))),
    *(Command(f"stack {name}", "", refused=f"`stack {name}`")
      for name in ("drift", "schedule", "webhook", "migrate", "get")),
)  # fmt: skip

_CONFIG = (
    Command("config", "Manage configuration", "configure:show",
            flags=(STACK, CONFIG_FILE, JSON, SHOW_SECRETS, Flag("open", "", hidden=True))),
    Command("config get", "Get a single configuration value", "configure:get", "<key>", arguments=(1, 1),
            flags=(STACK, CONFIG_FILE, JSON, PATH, Flag("open", "", hidden=True))),
    Command("config set", "Set configuration value", "configure:set_", "<key> [--] [value]", arguments=(1, 2),
            flags=(STACK, CONFIG_FILE, PATH, Flag("plaintext", "Save the value as plaintext (unencrypted)"),
                   Flag("secret", "Encrypt the value instead of storing it in plaintext"),
                   Flag("raw", "Do not trim trailing newlines of a value from standard in"),
                   Flag("type", "Save the value as the given type: string, bool, int, or float", "string"))),
    Command("config set-all", "Set multiple configuration values", "configure:set_all",
            flags=(STACK, CONFIG_FILE, PATH, Flag("plaintext", "A key=value to store in plaintext", "list"),
                   Flag("secret", "A key=value to encrypt", "list"),
                   Flag("json", "Values in the form that `config --json` prints", "string"))),
    Command("config remove", "Remove configuration value", "configure:remove", "<key>", arguments=(1, 1),
            flags=(STACK, CONFIG_FILE, PATH), aliases=("rm", "delete")),
    Command("config remove-all", "Remove multiple configuration values", "configure:remove_all", "<key>...",
            arguments=(1, None), flags=(STACK, CONFIG_FILE, PATH), aliases=("rm-all", "delete-all")),
    Command("config refresh", "Update the local configuration based on the most recent update of the stack",
            "configure:refresh",
            flags=(STACK, CONFIG_FILE, Flag("force", "Overwrite the file without a backup", short="f"))),
    Command("config copy", "Copy config to another stack", "configure:copy", "[key]", arguments=(0, 1),
            aliases=("cp",),
            flags=(STACK, CONFIG_FILE, PATH, Flag("dest", "The stack to copy to", "string", "d"))),
    Command("config env", "", refused="`config env` (Pulumi ESC environments)"),
)  # fmt: skip

_UPDATES = (
    Command("preview", "Show a preview of updates to a stack's resources", "operations:preview",
            flags=PREVIEW_FLAGS, aliases=("pre",)),
    Command("up", "Create or update the resources in a stack", "operations:up", "[template|url]", flags=UP_FLAGS,
            arguments=(0, 1), aliases=("update",)),
    Command("refresh", "Refresh the resources in a stack", "operations:refresh", flags=REFRESH_FLAGS),
    Command("destroy", "Destroy all existing resources in the stack", "operations:destroy", flags=DESTROY_FLAGS,
            aliases=("down", "dn")),
    Command("import", "Import resources into an existing stack", "operations:import_", "[type] [name] [id]",
            flags=IMPORT_FLAGS, arguments=(0, None)),
    Command("cancel", "Remove the locks of a stack, folding what an interrupted update left", "cancel:cancel",
            "[stack-name]", flags=(STACK, YES), arguments=(0, 1)),
)  # fmt: skip

_URNS = "<resource-urn>..."
_STATE = (
    Command("state", "Edit the current stack's state"),
    Command("state remove", "Delete one or more resources from a stack's state", "state_edit:remove", _URNS,
            arguments=(0, None), aliases=("rm", "delete"),
            flags=(STACK, YES, Flag("all", "Delete all resources in the stack"),
                   Flag("force", "Delete protected resources too"),
                   Flag("target-dependents", "Delete the resource and all its dependents"))),
    Command("state rename", "Rename a resource in a stack's state", "state_edit:rename", "<resource-urn> <new-name>",
            (STACK, YES), (2, 2)),
    Command("state protect", "Protect resources in a stack's state", "state_edit:protect", _URNS,
            (STACK, YES, Flag("all", "Protect all resources")), (0, None)),
    Command("state unprotect", "Unprotect resources in a stack's state", "state_edit:unprotect", _URNS,
            (STACK, YES, Flag("all", "Unprotect all resources")), (0, None)),
    Command("state taint", "Have resources replaced at the next update", "state_edit:taint", _URNS,
            (STACK, YES), (1, None)),
    Command("state untaint", "Take back `state taint`", "state_edit:untaint", _URNS,
            (STACK, YES, Flag("all", "Untaint all resources")), (0, None)),
    Command("state repair", "Mend a state whose resources contradict each other", "state_edit:repair",
            flags=(STACK, YES)),
    Command("state get", "Show a resource's state", "state_edit:get", "<resource-urn>", (STACK, SHOW_SECRETS), (1, 1)),
    Command("state move", "Move resources from one stack to another", "state_move:move", _URNS, aliases=("mv",),
            arguments=(1, None),
            flags=(YES, Flag("source", "The stack to move resources from (default the current one)", "string"),
                   Flag("dest", "The stack to move resources to (default the current one)", "string"),
                   Flag("include-parents", "Move the parents of the resources, too"))),
    Command("state edit", "Edit the current stack's state in your EDITOR", "state_editor:edit",
            aliases=("update", "modify"), flags=(Flag("stack", STACK.help, "string"),)),
    Command("state upgrade", "Bring the state folder to the latest layout", "state_upgrade:run", flags=(YES,)),
)  # fmt: skip

_PLUGINS = (
    Command("plugin", "Manage resource provider plugins"),
    Command("plugin list", "List the plugins that this engine can run", "plugins:list_plugins", flags=(
        JSON, OUTPUT, Flag("project", "Only the plugins of this project", short="p")), aliases=("ls",)),
    Command("plugin install", "Say whether the plugins of a project can run here", "plugins:install",
            "[kind] [name] [version]", arguments=(0, 3),
            flags=(Flag("server", "", "string", hidden=True), Flag("reinstall", "", hidden=True),
                   Flag("exact", "", hidden=True), Flag("file", "", "string", short="f", hidden=True))),
    Command("plugin remove", "Remove plugins (this engine downloads none)", "plugins:remove",
            "[kind] [name] [version]", arguments=(0, 3), flags=(YES, Flag("all", "", short="a")), aliases=("rm",)),
    Command("plugin run", "", refused="`plugin run`"),
    Command("install", "Check that what the project needs can run here", "plugins:install_project",
            flags=(Flag("no-plugins", "Skip plugins"), Flag("no-dependencies", "Skip dependencies"),
                   Flag("reinstall", "", hidden=True), Flag("parallel", "", "int", hidden=True),
                   Flag("use-language-version-tools", "", refused="language version tools", hidden=True))),
    Command("policy", "Manage resource policies"),
    Command("policy analyze", "Run policy packs against a stack's state", "policies:analyze",
            flags=(STACK, CONFIG_FILE, JSON, OUTPUT,
                   Flag("policy-pack", "Run one or more policy packs", "csv"),
                   Flag("policy-pack-config", "A JSON file with the config of the corresponding --policy-pack", "csv"),
                   Flag("file", "Analyze an exported deployment instead of the stack's state", "string"),
                   Flag("diff", "Display the findings' resources in full"))),
    *(Command(f"policy {name}", "", refused=f"`policy {name}`")
      for name in ("new", "publish", "enable", "disable", "ls", "list", "rm", "remove", "group", "install",
                   "validate-config", "compliance", "issue")),
)  # fmt: skip

_REFUSED = tuple(
    Command(name, "", refused=f"`{name}`")
    for name in (
        "new", "console", "env", "org", "project", "deployment", "api", "insights", "do", "schema", "package",
        "convert", "watch",
        "logs", "template", "neo", "gen-completion", "state-upgrade", "query", "view-trace", "replay-events",
    )
)  # fmt: skip

COMMANDS = (*_UPDATES, *_STACKS, *_CONFIG, *_STATE, *_PLUGINS, *_ABOUT, *_REFUSED)


def by_words() -> dict[str, Command]:
    """Return every command by its words, aliases included."""
    table: dict[str, Command] = {}
    for command in COMMANDS:
        head = command.words.rpartition(" ")[0]
        for last in (command.words.rpartition(" ")[2], *command.aliases):
            table[f"{head} {last}".strip()] = command
    return table


def word_tree(table: dict[str, Command]) -> dict[str, Any]:
    """Return the words as a tree, for finding where a command line's arguments start."""
    tree: dict[str, Any] = {}
    for words in table:
        branch = tree
        for word in words.split():
            branch = branch.setdefault(word, {})
    return tree


def children(command: Command) -> list[Command]:
    """Return the subcommands of a command."""
    prefix = command.words + " "
    return [other for other in COMMANDS if other.words.startswith(prefix) and " " not in other.words[len(prefix) :]]
