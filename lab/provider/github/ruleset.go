package github

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	p "github.com/pulumi/pulumi-go-provider"
	presource "github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

func (h *Hub) rulesetResource() provider.Resource {
	return provider.Resource{
		Token:    "github:index/repositoryRuleset:RepositoryRuleset",
		Args:     github.RepositoryRulesetArgs{},
		State:    &github.RepositoryRuleset{},
		AutoName: true,
		Replace:  []string{"repository"},
		Volatile: []string{"etag"},
		Check:    checkRuleset,
		Create:   h.createRuleset,
		Read:     h.readRuleset,
		Update:   h.updateRuleset,
		Delete:   h.deleteRuleset,
	}
}

// rules are a ruleset's inputs.
type rules struct {
	Target       string                                `pulumi:"target"`
	Enforcement  string                                `pulumi:"enforcement"`
	BypassActors []github.RepositoryRulesetBypassActor `pulumi:"bypassActors"`
	Conditions   *github.RepositoryRulesetConditions   `pulumi:"conditions"`
	Rules        github.RepositoryRulesetRules         `pulumi:"rules"`
}

// checkRuleset knows what the plugin checks before it asks GitHub.
func checkRuleset(_ context.Context, inputs property.Map) []p.CheckFailure {
	if property.New(inputs).HasComputed() {
		return nil // it is checked again when everything is known
	}
	var given rules
	if err := provider.Decode(inputs, &given); err != nil {
		return []p.CheckFailure{{Property: "rules", Reason: err.Error()}}
	}
	var failures []p.CheckFailure
	oneOf := func(property, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			failures = append(failures, p.CheckFailure{Property: property, Reason: fmt.Sprintf("expected %s to be one of %q, got %s", property, allowed, value)})
		}
	}
	oneOf("target", given.Target, "branch", "tag", "push")
	oneOf("enforcement", given.Enforcement, "disabled", "active", "evaluate")
	for i, actor := range given.BypassActors {
		at := fmt.Sprintf("bypassActors[%d].", i)
		oneOf(at+"actorType", actor.ActorType, "RepositoryRole", "Team", "Integration", "OrganizationAdmin", "DeployKey", "EnterpriseOwner", "User")
		oneOf(at+"bypassMode", actor.BypassMode, "always", "pull_request", "exempt")
	}
	if given.Target != "push" && given.Conditions != nil && len(given.Conditions.RefName.Includes) == 0 {
		failures = append(failures, p.CheckFailure{Property: "conditions", Reason: "ref_name must be set for " + given.Target + " target"})
	}
	if request := given.Rules.PullRequest; request != nil {
		if reviews := request.RequiredApprovingReviewCount; reviews != nil && (*reviews < 0 || *reviews > 10) {
			failures = append(failures, p.CheckFailure{Property: "rules.pullRequest.requiredApprovingReviewCount", Reason: fmt.Sprintf("expected to be in the range (0 - 10), got %d", *reviews)})
		}
		for _, method := range request.AllowedMergeMethods {
			oneOf("rules.pullRequest.allowedMergeMethods", method, "merge", "squash", "rebase")
		}
	}
	if queue := given.Rules.MergeQueue; queue != nil && queue.MergeMethod != nil {
		oneOf("rules.mergeQueue.mergeMethod", *queue.MergeMethod, "MERGE", "SQUASH", "REBASE")
	}
	return failures
}

func (h *Hub) createRuleset(ctx context.Context, r provider.CreateRequest) (id string, outputs property.Map, err error) {
	repository, name := text(r.Inputs, "repository"), text(r.Inputs, "name")
	owner := callerOf(ctx).owner
	err = h.change(owner, repository, func(recorded *record) error {
		if err := recorded.offersRulesets("POST", owner, repository); err != nil {
			return err
		}
		for _, other := range recorded.Rulesets {
			if other.Name == name {
				return &apiError{"POST", apiPath(owner, repository, "/rulesets"), 422, "Validation Failed: Name must be unique"}
			}
		}
		number := recorded.nextID()
		recorded.Rulesets[number] = &ruleset{Name: name, Inputs: jsonOf(r.Inputs)}
		id, outputs = strconv.Itoa(number), rulesetOutputs(number, r.Inputs)
		return nil
	})
	return id, outputs, err
}

func (h *Hub) updateRuleset(ctx context.Context, r provider.UpdateRequest) (outputs property.Map, err error) {
	owner, repository := callerOf(ctx).owner, text(r.Inputs, "repository")
	number, err := rulesetNumber(r.ID)
	if err != nil {
		return outputs, err
	}
	err = h.change(owner, repository, func(recorded *record) error {
		if recorded.Rulesets[number] == nil {
			return notFound("PUT", owner, repository, "/rulesets/"+strconv.Itoa(number))
		}
		recorded.Rulesets[number] = &ruleset{Name: text(r.Inputs, "name"), Inputs: jsonOf(r.Inputs)}
		outputs = rulesetOutputs(number, r.Inputs)
		return nil
	})
	return outputs, err
}

func (h *Hub) readRuleset(ctx context.Context, r provider.ReadRequest) (inputs, outputs property.Map, found bool, err error) {
	repository := text(r.State, "repository")
	if repository == "" {
		repository, _, found = strings.Cut(r.ID, ":")
		if !found {
			return inputs, outputs, false, fmt.Errorf("invalid ID %q: give <repository>:<number of the ruleset>", r.ID)
		}
	}
	number, err := rulesetNumber(r.ID)
	if err != nil {
		return inputs, outputs, false, err
	}
	found = false
	err = h.view(callerOf(ctx).owner, repository, func(recorded *record) error {
		if now := recorded.Rulesets[number]; now != nil {
			found = true
			inputs = mapOf(now.Inputs)
			outputs = rulesetOutputs(number, inputs)
		}
		return nil
	})
	return inputs, outputs, found, err
}

func (h *Hub) deleteRuleset(ctx context.Context, r provider.DeleteRequest) error {
	number, err := rulesetNumber(r.ID)
	if err != nil {
		return err
	}
	return h.change(callerOf(ctx).owner, text(r.State, "repository"), func(recorded *record) error {
		delete(recorded.Rulesets, number)
		return nil
	})
}

// rulesetNumber is in the resource's ID, behind the repository if it was imported.
func rulesetNumber(id string) (int, error) {
	number, err := strconv.Atoi(id[strings.LastIndex(id, ":")+1:])
	if err != nil {
		return 0, fmt.Errorf("invalid ID %q: a ruleset has a number", id)
	}
	return number, nil
}

func rulesetOutputs(number int, inputs property.Map) property.Map {
	return property.NewMap(map[string]property.Value{
		"rulesetId": property.New(float64(number)),
		"nodeId":    property.New(fmt.Sprintf("RRS_%d", number)),
		"etag":      property.New(etag(inputs)),
	})
}

// etag changes with what it is computed from.
func etag(inputs property.Map) string {
	// Maps are printed in the order of their keys.
	return fmt.Sprintf(`W/"%x"`, sha256.Sum256(fmt.Append(nil, jsonOf(inputs))))
}

// allowed obeys the rulesets that are active for the branch.
func (t target) allowed(method string) error {
	for _, recorded := range t.record.Rulesets {
		var active rules
		if err := provider.Decode(mapOf(recorded.Inputs), &active); err != nil {
			return fmt.Errorf("reading the ruleset %s: %w", recorded.Name, err)
		}
		if active.Enforcement != "active" || active.Target != "branch" || !active.covers(t.branch, t.record.DefaultBranch) {
			continue
		}
		violations := active.violatedByPush()
		if len(violations) == 0 || t.bypasses(active.BypassActors) {
			continue
		}
		return &apiError{method, t.contents(), 409, fmt.Sprintf(
			"Repository rule violations found: %s (ruleset %q is active for %s, and %s is not among its bypass actors; add it there, or make the change by a pull request)",
			strings.Join(violations, " "), recorded.Name, t.branch, t.caller)}
	}
	return nil
}

// covers knows the two names and whole refs; the lab needs no patterns.
func (r rules) covers(branch, defaultBranch string) bool {
	names := func(refs []string) bool {
		return slices.Contains(refs, "~ALL") ||
			slices.Contains(refs, "refs/heads/"+branch) ||
			branch == defaultBranch && slices.Contains(refs, "~DEFAULT_BRANCH")
	}
	return r.Conditions == nil || names(r.Conditions.RefName.Includes) && !names(r.Conditions.RefName.Excludes)
}

// violatedByPush are the rules that a commit straight to the branch breaks.
func (r rules) violatedByPush() []string {
	var violations []string
	if r.Rules.Update != nil && *r.Rules.Update {
		violations = append(violations, "Cannot update this protected ref.")
	}
	if r.Rules.PullRequest != nil {
		violations = append(violations, "Changes must be made through a pull request.")
	}
	if checks := r.Rules.RequiredStatusChecks; checks != nil {
		count := len(checks.RequiredChecks)
		violations = append(violations, fmt.Sprintf("%d of %d required status checks are expected.", count, count))
	}
	if r.Rules.MergeQueue != nil {
		violations = append(violations, "Changes must be made through the merge queue.")
	}
	return violations
}

func (t target) bypasses(actors []github.RepositoryRulesetBypassActor) bool {
	return slices.ContainsFunc(actors, func(actor github.RepositoryRulesetBypassActor) bool {
		return actor.ActorType == t.kind && actor.ActorId != nil && *actor.ActorId == t.caller.id && actor.BypassMode != "pull_request"
	})
}

// jsonOf and mapOf convert inputs to what a file holds, and back.
func jsonOf(m property.Map) map[string]any {
	return presource.ToResourcePropertyMap(m).Mappable()
}

func mapOf(recorded map[string]any) property.Map {
	return presource.FromResourcePropertyMap(presource.NewPropertyMapFromMap(recorded))
}
