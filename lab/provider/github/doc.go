// Package github stands in for GitHub and the plugin that manages it.
//
// Files are real: each repository is a bare git repository that one can clone,
// push to and look into, and every change by the provider is a commit. What git
// does not hold (rulesets, environments, variables, the names of secrets) is
// recorded beside it as JSON, and read back by a refresh, so that an edit by hand
// shows as drift. The values of secrets are not recorded at all: GitHub gives
// them to nobody either.
//
// Active rulesets are obeyed: a write to a branch that demands pull requests is
// refused unless the caller may bypass the ruleset. Who the caller is follows from
// the provider's configuration: a GitHub App with appAuth, or the repository's
// admin with a token.
//
// A repository can be private and of an owner who pays nothing: it is refused
// rulesets and reviewers then. The token "wrong" is refused.
//
// It cannot vouch for what GitHub does beyond that: who the numbers of users,
// teams and apps are, whether other plans include merge queues or evaluation, and
// how workflows run.
package github
