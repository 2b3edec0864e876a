package github

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

func (h *Hub) fileResource() provider.Resource {
	return provider.Resource{
		Token:    "github:index/repositoryFile:RepositoryFile",
		Args:     github.RepositoryFileArgs{},
		State:    &github.RepositoryFile{},
		Replace:  []string{"repository", "file", "branch"},
		Volatile: []string{"commitSha", "sha"},
		Check:    checkFile,
		Create:   h.createFile,
		Read:     h.readFile,
		Update:   h.updateFile,
		Delete:   h.deleteFile,
	}
}

func checkFile(_ context.Context, inputs property.Map) []p.CheckFailure {
	var failures []p.CheckFailure
	if inputs.Get("commitAuthor").IsNull() != inputs.Get("commitEmail").IsNull() {
		failures = append(failures, p.CheckFailure{Property: "commitAuthor", Reason: "commitAuthor and commitEmail are given together or not at all"})
	}
	for _, deprecated := range []string{"autocreateBranch", "autocreateBranchSourceBranch", "autocreateBranchSourceSha"} {
		if !inputs.Get(deprecated).IsNull() {
			failures = append(failures, p.CheckFailure{Property: deprecated, Reason: "deprecated, and not known to the lab"})
		}
	}
	return failures
}

// target is the file that a request is about.
type target struct {
	caller

	repository, branch, path string
	git                      gitDir
	record                   *record
}

func (h *Hub) target(ctx context.Context, r *record, repository, branch, path string) target {
	c := callerOf(ctx)
	return target{
		caller: c, repository: repository, branch: first(branch, r.DefaultBranch), path: path,
		git: gitDir(h.GitDir(c.owner, repository)), record: r,
	}
}

func (t target) resourceID() string {
	return strings.Join([]string{t.repository, escape(t.path), t.branch}, ":")
}

func (t target) contents() string { return apiPath(t.owner, t.repository, "/contents/"+t.path) }

func (h *Hub) createFile(ctx context.Context, r provider.CreateRequest) (id string, outputs property.Map, err error) {
	repository := text(r.Inputs, "repository")
	err = h.view(callerOf(ctx).owner, repository, func(recorded *record) error {
		t := h.target(ctx, recorded, repository, text(r.Inputs, "branch"), text(r.Inputs, "file"))
		tip, err := t.git.tip(t.branch)
		if err != nil {
			return err
		}
		if tip == "" {
			return fmt.Errorf("branch %s not found in repository %s/%s", t.branch, t.owner, t.repository)
		}
		existing, err := t.git.file(t.branch, t.path)
		if err != nil {
			return err
		}
		if overwrite := r.Inputs.Get("overwriteOnCreate"); existing != nil && (!overwrite.IsBool() || !overwrite.AsBool()) {
			return fmt.Errorf("refusing to overwrite existing file %s: configure `overwrite_on_create` to `true` to override", t.path)
		}
		id = t.resourceID()
		outputs, err = t.write(r.Inputs, first(text(r.Inputs, "commitMessage"), "Add "+t.path))
		return err
	})
	if err != nil {
		return "", property.Map{}, err
	}
	return id, outputs, nil
}

func (h *Hub) updateFile(ctx context.Context, r provider.UpdateRequest) (outputs property.Map, err error) {
	repository := text(r.Inputs, "repository")
	err = h.view(callerOf(ctx).owner, repository, func(recorded *record) error {
		t := h.target(ctx, recorded, repository, text(r.State, "branch"), text(r.Inputs, "file"))
		if err := t.expect("PUT", text(r.State, "sha")); err != nil {
			return err
		}
		outputs, err = t.write(r.Inputs, first(text(r.Inputs, "commitMessage"), "Update "+t.path))
		return err
	})
	return outputs, err
}

func (h *Hub) deleteFile(ctx context.Context, r provider.DeleteRequest) error {
	repository := text(r.State, "repository")
	return h.view(callerOf(ctx).owner, repository, func(recorded *record) error {
		t := h.target(ctx, recorded, repository, text(r.State, "branch"), text(r.State, "file"))
		existing, err := t.git.file(t.branch, t.path)
		if err != nil || existing == nil {
			return err
		}
		if err := t.expect("DELETE", text(r.State, "sha")); err != nil {
			return err
		}
		if err := t.allowed("DELETE"); err != nil {
			return err
		}
		_, err = t.git.commit(t.branch, t.path, nil, "Delete "+t.path, author(r.State))
		return err
	})
}

func (h *Hub) readFile(ctx context.Context, r provider.ReadRequest) (inputs, outputs property.Map, found bool, err error) {
	repository, path, branch := text(r.State, "repository"), text(r.State, "file"), text(r.State, "branch")
	if r.State.Len() == 0 {
		parts := strings.Split(r.ID, ":")
		if len(parts) != 3 {
			return inputs, outputs, false, fmt.Errorf("invalid ID %q: give <repository>:<file path>:<branch>, the last one empty for the default branch", r.ID)
		}
		repository, path, branch = parts[0], unescape(parts[1]), parts[2]
	}
	err = h.view(callerOf(ctx).owner, repository, func(recorded *record) error {
		t := h.target(ctx, recorded, repository, branch, path)
		tip, err := t.git.tip(t.branch)
		if err != nil || tip == "" {
			return err
		}
		now, err := t.git.file(t.branch, t.path)
		if err != nil || now == nil {
			return err
		}
		found = true
		commit, message := text(r.State, "commitSha"), text(r.State, "commitMessage")
		if commit == "" {
			if commit, message, err = t.git.lastChange(t.branch, t.path); err != nil {
				return err
			}
		}
		inputs = r.Inputs
		if inputs.Len() == 0 {
			inputs = property.NewMap(map[string]property.Value{
				"repository":        property.New(t.repository),
				"file":              property.New(t.path),
				"branch":            property.New(t.branch),
				"commitMessage":     property.New(message),
				"overwriteOnCreate": property.New(false),
			})
		}
		inputs = inputs.Set("content", property.New(now.content))
		outputs = t.outputs(now.sha, commit, message)
		return nil
	})
	return inputs, outputs, found, err
}

// expect refuses a change to a file that somebody else changed since it was read.
func (t target) expect(method, sha string) error {
	now, err := t.git.file(t.branch, t.path)
	if err != nil {
		return err
	}
	if now == nil {
		return &apiError{method, t.contents(), 404, "Not Found"}
	}
	if now.sha != sha {
		return &apiError{method, t.contents(), 409, fmt.Sprintf("%s is at %s but expected %s; somebody changed it, so refresh the stack first", t.path, now.sha, sha)}
	}
	return nil
}

func (t target) write(inputs property.Map, message string) (property.Map, error) {
	if err := t.allowed("PUT"); err != nil {
		return property.Map{}, err
	}
	content := text(inputs, "content")
	commit, err := t.git.commit(t.branch, t.path, &content, message, author(inputs))
	if err != nil {
		return property.Map{}, fmt.Errorf("committing %s: %w", t.path, err)
	}
	written, err := t.git.file(t.branch, t.path)
	if err != nil {
		return property.Map{}, err
	}
	if written == nil {
		return property.Map{}, errors.New("committing " + t.path + ": it is not there afterwards")
	}
	return t.outputs(written.sha, commit, message), nil
}

func (t target) outputs(sha, commit, message string) property.Map {
	return property.NewMap(map[string]property.Value{
		"branch":                    property.New(t.branch),
		"ref":                       property.New(t.branch),
		"sha":                       property.New(sha),
		"commitSha":                 property.New(commit),
		"commitMessage":             property.New(message),
		"repositoryId":              property.New(float64(t.record.ID)),
		"autocreateBranchSourceSha": property.New(""),
	})
}

func author(m property.Map) person {
	if name := text(m, "commitAuthor"); name != "" {
		return person{name, text(m, "commitEmail")}
	}
	return hubPerson
}

// escape and unescape are the provider's, for a part of an ID.
func escape(part string) string   { return strings.ReplaceAll(part, ":", "??") }
func unescape(part string) string { return strings.ReplaceAll(part, "??", ":") }
