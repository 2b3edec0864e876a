package dockerbuild

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// targetName is the one target of a definition.
const targetName = "image"

// definition describes the build as a bake file. It travels on buildx' standard
// input: a build argument may be secret, and on a command line every user of
// the machine could read it. Secrets travel in the returned environment.
func (i *images) definition(args *imageArgs, preview bool) (file []byte, environment []string, err error) {
	fail := func(index int, problem error) { err = problem }
	outputs := args.exports(fail)
	cacheFrom, cacheTo := args.cacheFrom(fail), args.cacheTo(fail)
	if err != nil {
		return nil, nil, err
	}
	if preview {
		for _, output := range outputs {
			if output.kind == "image" {
				output.attributes["push"] = "false"
			}
		}
	}

	target := map[string]any{
		"context":  args.Context.Location,
		"contexts": args.named(),
		"attest":   []string{"type=provenance,disabled=true"},
		"network":  args.Network,
		"no-cache": args.NoCache,
		"pull":     args.Pull,
	}
	switch dockerfile := args.dockerfile(); {
	case args.inline() != "":
		target["dockerfile-inline"] = args.inline()
	case isRemote(args.Context.Location) || isRemote(dockerfile):
		if dockerfile != "" {
			target["dockerfile"] = dockerfile
		}
	default:
		// A bake file counts it from the context, the plugin from the project.
		target["dockerfile"] = within(i.dir, dockerfile)
	}
	if args.Target != "" {
		target["target"] = args.Target
	}
	secrets, environment := args.secrets()
	for name, list := range map[string][]string{
		"cache-from": texts(cacheFrom),
		"cache-to":   texts(cacheTo),
		"output":     texts(outputs),
		"platforms":  args.Platforms,
		"secret":     secrets,
		"ssh":        args.agents(),
		"tags":       args.Tags,
	} {
		if len(list) > 0 {
			target[name] = list
		}
	}
	for name, pairs := range map[string]map[string]string{
		"args":        args.BuildArgs,
		"extra-hosts": args.hosts(),
		"labels":      args.Labels,
	} {
		if len(pairs) > 0 {
			target[name] = pairs
		}
	}

	file, err = json.Marshal(map[string]any{"target": map[string]any{targetName: target}})
	if err != nil {
		return nil, nil, fmt.Errorf("describing the build: %w", err)
	}
	// In a bake file these begin an expression.
	return []byte(strings.NewReplacer("${", "$${", "%{", "%%{").Replace(string(file))), environment, nil
}

// secrets says which variable of the environment holds which secret.
func (a *imageArgs) secrets() (list, environment []string) {
	for index, id := range slices.Sorted(maps.Keys(a.Secrets)) {
		variable := fmt.Sprintf("CLAWFT_BUILD_SECRET_%d", index)
		environment = append(environment, variable+"="+a.Secrets[id])
		list = append(list, (&entry{kind: "env", attributes: map[string]string{"id": id, "env": variable}}).String())
	}
	return list, environment
}

// agents are the SSH agents and keys that build steps may use.
func (a *imageArgs) agents() []string {
	var list []string
	for _, ssh := range a.SSH {
		agent := ssh.Id
		if len(ssh.Paths) > 0 {
			agent += "=" + strings.Join(ssh.Paths, ",")
		}
		list = append(list, agent)
	}
	return list
}

// hosts are the additional names that build steps can resolve.
func (a *imageArgs) hosts() map[string]string {
	hosts := map[string]string{}
	for _, entry := range a.AddHosts {
		name, address, _ := strings.Cut(entry, ":")
		hosts[name] = address
	}
	return hosts
}

func texts(entries []*entry) []string {
	var list []string
	for _, e := range entries {
		list = append(list, e.String())
	}
	return list
}
