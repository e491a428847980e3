"""The flags of the commands that run an update."""

from __future__ import annotations

from pulumi_embedded.cli.flags import Flag

_COMMON = (
    Flag("stack", "The name of the stack to operate on. Defaults to the current stack", "string", "s"),
    Flag("config-file", "Use the configuration values in the specified file", "string"),
    Flag("message", "Optional message to associate with the operation", "string", "m"),
    Flag("parallel", "Allow P resource operations to run in parallel at once (1 for no parallelism)", "int", "p"),
    Flag("json", "Print what happened as JSON", short="j"),
    Flag("diff", "Display operation as a rich diff showing the overall change"),
    Flag("debug", "Print detailed debugging output during resource operations", short="d"),
    Flag("event-log", "Log events to a file at this path, or to tcp://host:port", "string"),
    Flag("suppress-outputs", "Suppress display of stack outputs"),
    Flag("suppress-progress", "Suppress display of periodic progress dots"),
    Flag("suppress-permalink", "Suppress display of the state permalink", "string", implied="true"),
    Flag("urns", "Display full URNs instead of short resource names"),
    Flag("client", "The address of a language runtime that hosts the program", "string", hidden=True),
    Flag("exec-kind", "", "string", hidden=True),
    Flag("exec-agent", "", "string", hidden=True),
    Flag("skip-plugin-pre-install", "", hidden=True),
    Flag("log-to-stderr", "", hidden=True),
    Flag("neo", "", hidden=True),
    Flag("copilot", "", hidden=True),
    Flag("attach-debugger", "", "list", implied="program", refused="attaching a debugger", hidden=True),
    Flag("override-env", "", "list", refused="Pulumi ESC environments (--override-env)", hidden=True),
    Flag("remote", "", refused="remote deployments (--remote)", hidden=True),
)
_CONFIG = (
    Flag("config", "Config to use during the operation and save to the stack config file", "list", "c"),
    Flag("config-path", "Config keys contain a path to a property in a map or list to set"),
    Flag("skip-config-validation", "Skip validation of stack config values against the project config schema"),
)
_SHOW = (
    Flag("show-config", "Show configuration keys and variables"),
    Flag("show-full-output", "Display full length of inputs & outputs"),
    Flag("show-reads", "Show resources that are being read in"),
    Flag("show-replacement-steps", "Show replacement creates and deletes instead of a single step"),
    Flag("show-sames", "Show resources that don't need be updated because they haven't changed"),
    Flag("show-secrets", "Show secret outputs in the CLI output"),
    Flag("show-policy-remediations", "Show per-resource policy remediation details instead of a summary"),
)
_TARGETS = (
    Flag("target", "A resource URN to act on alone; may be repeated, * and ** are wildcards", "list", "t"),
    Flag("target-dependents", "Also act on dependents of the targets"),
)
_EXCLUDES = (
    Flag("exclude", "A resource URN to leave alone; may be repeated, * and ** are wildcards", "list", "x"),
    Flag("exclude-dependents", "Also leave dependents of the excluded alone"),
)
_REPLACES = (
    Flag("replace", "A resource URN to replace; may be repeated, * and ** are wildcards", "list"),
    Flag("target-replace", "Shorthand for --target urn --replace urn", "list"),
)
_REFRESH = (
    Flag("refresh", "Refresh the state of the stack's resources before this update", "string", "r", implied="true"),
    Flag("run-program", "Run the program to find out how providers are configured"),
)
_POLICIES = (
    Flag("policy-pack", "Run one or more policy packs as part of this update", "csv"),
    Flag("policy-pack-config", "A JSON file with the config of the corresponding --policy-pack", "csv"),
)
_APPLY = (
    Flag("yes", "Automatically approve and perform the update after previewing it", short="y"),
    Flag("skip-preview", "Do not calculate a preview before performing the update", short="f"),
)
_EXPECT = (Flag("expect-no-changes", "Return an error if any changes occur or are proposed"),)
_CONTINUE = (Flag("continue-on-error", "Continue though an error is encountered (or PULUMI_CONTINUE_ON_ERROR)"),)
_PROTECT = (Flag("ignore-protect", "Delete or replace protected resources, too, in this operation"),)
_PREVIEW_ONLY = (Flag("preview-only", "Only show a preview, but don't perform the operation itself"),)

PREVIEW_FLAGS = (
    *_COMMON, *_CONFIG, *_SHOW, *_TARGETS, *_EXCLUDES, *_REPLACES, *_REFRESH, *_POLICIES, *_EXPECT, *_PROTECT,
    Flag("save-plan", "", "string", refused="update plans (--save-plan)", hidden=True),
    Flag("import-file", "Save the creates of the preview as a file for `import`", "string"),
)  # fmt: skip
UP_FLAGS = (
    *_COMMON, *_CONFIG, *_SHOW, *_TARGETS, *_EXCLUDES, *_REPLACES, *_REFRESH, *_POLICIES, *_EXPECT, *_PROTECT,
    *_APPLY, *_CONTINUE,
    Flag("plan", "", "string", refused="update plans (--plan)", hidden=True),
    Flag("strict", "", refused="update plans (--strict)", hidden=True),
    Flag("secrets-provider", "", "string", hidden=True),
)  # fmt: skip
REFRESH_FLAGS = (
    *_COMMON, *_CONFIG, *_SHOW, *_TARGETS, *_EXCLUDES, *_EXPECT, *_APPLY, *_PREVIEW_ONLY,
    Flag("run-program", "Run the program to find out how providers are configured"),
    Flag("clear-pending-creates", "Clear all pending creates, dropping them from the state"),
    Flag("skip-pending-creates", "Skip importing pending creates in interactive mode"),
    Flag("import-pending-creates", "A pending create's URN, then (again) the ID that it got; may be repeated", "list"),
)  # fmt: skip
DESTROY_FLAGS = (
    *_COMMON, *_CONFIG, *_SHOW, *_TARGETS, *_EXCLUDES, *_REFRESH, *_APPLY, *_PREVIEW_ONLY, *_CONTINUE, *_PROTECT,
    Flag("exclude-protected", "Do not destroy protected resources. Destroy all other resources"),
    Flag("remove", "Remove the stack and its config file after all its resources are gone"),
)  # fmt: skip
IMPORT_FLAGS = (
    *_COMMON, *_PREVIEW_ONLY,
    Flag("yes", "Automatically approve and perform the import after previewing it", short="y"),
    Flag("skip-preview", "Do not calculate a preview before performing the import"),
    Flag("file", "A JSON file with a list of resources to import", "string", "f"),
    Flag("generate-code", "Write declarations for the imported resources (not supported: pass false)", default=True),
    Flag("out", "Where declarations would go (not supported)", "string", "o"),
    Flag("from", "", "string", refused="importing through a converter (--from)", hidden=True),
    Flag("generate-resources", "", "string", refused="importing through a converter", hidden=True),
    Flag("parent", "The name and URN of the parent resource, name=urn", "string"),
    Flag("provider", "The name and URN of the provider, name=urn", "string"),
    Flag("properties", "The property names to use for the import", "csv"),
    Flag("protect", "Protect the imported resources from deletion (default true)", default=True),
)  # fmt: skip
