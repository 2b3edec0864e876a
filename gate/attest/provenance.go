package attest

import (
	"cmp"
	"fmt"
	"os"
	"strings"
)

const (
	// buildType says how to read the parameters.
	buildType = "https://github.com/clawft/infra/blob/main/docs/signatures.md#provenance"
	// localBuilder is who builds outside of GitHub Actions: some machine, of which
	// nothing is claimed.
	localBuilder = "https://github.com/clawft/infra/blob/main/docs/signatures.md#a-build-on-some-machine"
)

// Build is what an image was built from, as the pipeline that built it knows it.
type Build struct {
	// Source is a git URL without a fragment, or a directory.
	Source string `json:"source"`
	// Ref is the tag, branch or commit of a git source that was asked for, and
	// Commit what it stood for.
	Ref    string `json:"ref,omitempty"`
	Commit string `json:"commit,omitempty"`
	// Version is the release, and Revision how often it was built again.
	Version  string `json:"version"`
	Revision int    `json:"revision,omitempty"`
	// Dockerfile is the SHA-256 of the Dockerfile's text, hexadecimal.
	Dockerfile string `json:"dockerfile"`
	// Platforms are those that were built, such as linux/arm64.
	Platforms []string `json:"platforms"`
	// Args are build arguments that the operator gave.
	Args map[string]string `json:"args,omitempty"`
}

// Origin is the source with its commit, if it has one.
func (b Build) Origin() string {
	if b.Commit == "" {
		return b.Source
	}
	return b.Source + "@" + b.Commit
}

// run is who built.
type run struct {
	// builder identifies what ran the build, and invocation the one time that it
	// did; the latter is empty where nobody keeps count.
	builder, invocation string
}

// thisRun reads what GitHub Actions says about itself:
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables.
// GITHUB_WORKFLOW_REF is the caller's if the workflow was called, so release.yml
// says in a variable of its own which one it is.
func thisRun() run {
	if os.Getenv("GITHUB_ACTIONS") != "true" {
		return run{builder: localBuilder}
	}
	server := os.Getenv("GITHUB_SERVER_URL")
	return run{
		builder: server + "/" + cmp.Or(os.Getenv("CALLED_WORKFLOW_REF"), os.Getenv("GITHUB_WORKFLOW_REF")),
		invocation: fmt.Sprintf("%s/%s/actions/runs/%s/attempts/%s", server, os.Getenv("GITHUB_REPOSITORY"),
			os.Getenv("GITHUB_RUN_ID"), os.Getenv("GITHUB_RUN_ATTEMPT")),
	}
}

// provenance is the predicate https://slsa.dev/spec/v1.0/provenance.
type provenance struct {
	BuildDefinition struct {
		BuildType            string       `json:"buildType"`
		ExternalParameters   Build        `json:"externalParameters"`
		ResolvedDependencies []dependency `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Metadata struct {
			InvocationID string `json:"invocationId,omitempty"`
		} `json:"metadata"`
	} `json:"runDetails"`
}

// dependency is what went into a build, by its digest.
type dependency struct {
	Name   string            `json:"name"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest"`
}

func (b Build) provenance(by run) provenance {
	var p provenance
	p.BuildDefinition.BuildType = buildType
	p.BuildDefinition.ExternalParameters = b
	p.BuildDefinition.ResolvedDependencies = []dependency{{
		Name: "Dockerfile", Digest: map[string]string{"sha256": b.Dockerfile},
	}}
	if b.Commit != "" {
		p.BuildDefinition.ResolvedDependencies = append(p.BuildDefinition.ResolvedDependencies, dependency{
			Name: "source", URI: sourceURI(b.Source) + "@" + b.Commit,
			Digest: map[string]string{"gitCommit": b.Commit},
		})
	}
	p.RunDetails.Builder.ID = by.builder
	p.RunDetails.Metadata.InvocationID = by.invocation
	return p
}

// sourceURI says of a URL that it is a git repository's, as SPDX does.
func sourceURI(url string) string {
	if strings.HasPrefix(url, "http") {
		return "git+" + url
	}
	return url
}
