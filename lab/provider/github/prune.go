package github

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Types of resources, for Prune.
const (
	environmentToken = "github:index/repositoryEnvironment:RepositoryEnvironment"
	secretToken      = "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret"
	fileToken        = "github:index/repositoryFile:RepositoryFile"
	rulesetToken     = "github:index/repositoryRuleset:RepositoryRuleset"
	policyToken      = "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy"
	variableToken    = "github:index/actionsVariable:ActionsVariable"
)

// Prune deletes what a killed run created in a repository without the engine
// getting to know: everything that known, asked by type token and ID, denies.
// At the real GitHub that is a person's work, or an import. Of the files, only
// those go whose last commit has a message that begins with the given words; the
// others are somebody's. It returns what it deleted, in words.
func (h *Hub) Prune(owner, name, commitPrefix string, known func(token, id string) bool) ([]string, error) {
	var pruned []string
	err := h.change(owner, name, func(r *record) error {
		files, err := h.pruneFiles(owner, name, r.DefaultBranch, commitPrefix, known)
		pruned = append(pruned, files...)
		if err != nil {
			return err
		}
		for _, number := range slices.Sorted(maps.Keys(r.Rulesets)) {
			if !known(rulesetToken, strconv.Itoa(number)) {
				pruned = append(pruned, "ruleset "+r.Rulesets[number].Name)
				delete(r.Rulesets, number)
			}
		}
		for _, variable := range slices.Sorted(maps.Keys(r.Variables)) {
			if !known(variableToken, name+":"+variable) {
				pruned = append(pruned, "variable "+variable)
				delete(r.Variables, variable)
			}
		}
		for _, environment := range slices.Sorted(maps.Keys(r.Environments)) {
			in := r.Environments[environment]
			if !known(environmentToken, name+":"+escape(environment)) {
				pruned = append(pruned, "environment "+environment)
				delete(r.Environments, environment)
				continue
			}
			for _, secret := range slices.Sorted(maps.Keys(in.Secrets)) {
				if !known(secretToken, strings.Join([]string{name, escape(environment), secret}, ":")) {
					pruned = append(pruned, "secret "+secret+" of "+environment)
					delete(in.Secrets, secret)
				}
			}
			for _, number := range slices.Sorted(maps.Keys(in.Policies)) {
				if !known(policyToken, fmt.Sprintf("%s:%s:%d", name, escape(environment), number)) {
					pruned = append(pruned, "deployment policy of "+environment)
					delete(in.Policies, number)
				}
			}
		}
		return nil
	})
	return pruned, err
}

func (h *Hub) pruneFiles(owner, name, branch, commitPrefix string, known func(token, id string) bool) ([]string, error) {
	dir := gitDir(h.GitDir(owner, name))
	listed, err := dir.git(nil, "", "ls-tree", "-r", "--name-only", "refs/heads/"+branch)
	if err != nil {
		return nil, fmt.Errorf("listing the files of %s/%s: %w", owner, name, err)
	}
	var pruned []string
	for path := range strings.Lines(listed) {
		path = strings.TrimSpace(path)
		t := target{repository: name, branch: branch, path: path}
		if known(fileToken, t.resourceID()) {
			continue
		}
		_, message, err := dir.lastChange(branch, path)
		if err != nil {
			return pruned, err
		}
		if !strings.HasPrefix(message, commitPrefix) {
			continue
		}
		if _, err := dir.commit(branch, path, nil, "Remove "+path+", which an interrupted run had written", hubPerson); err != nil {
			return pruned, err
		}
		pruned = append(pruned, "file "+path)
	}
	return pruned, nil
}
