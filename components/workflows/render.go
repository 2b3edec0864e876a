package workflows

import (
	"bytes"
	"embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
)

// Where the files go in the gateway's repository.
const (
	PRGatesPath = ".github/workflows/pr-gates.yml"
	ReleasePath = ".github/workflows/release.yml"

	gatesDirectory   = ".github/gates/"
	dockerfilePath   = gatesDirectory + "Dockerfile"
	dockerIgnorePath = dockerfilePath + ".dockerignore"
)

//go:embed pr-gates.yml release.yml
var templates embed.FS

//go:embed gates/*.sh
var scripts embed.FS

// File is a file of the gateway's repository.
type File struct {
	// Name is a short unique name, for a resource.
	Name string
	// Path is relative to the root of the repository.
	Path    string
	Content string
}

// Render returns the files in the order in which they have to be written: what
// a workflow runs stands there before the workflow does.
func Render(in Inputs) ([]File, error) {
	if err := in.Validate(); err != nil {
		return nil, fmt.Errorf("rendering the workflows: %w", err)
	}
	var files []File
	for _, name := range []string{"size.sh", "image-size.sh", "smoke.sh"} {
		script, err := scripts.ReadFile("gates/" + name)
		if err != nil {
			return nil, fmt.Errorf("reading gate script %s: %w", name, err)
		}
		files = append(files, File{Name: strings.TrimSuffix(name, ".sh"), Path: gatesDirectory + name, Content: string(script)})
	}
	files = append(files, File{Name: "dockerfile", Path: dockerfilePath, Content: in.Dockerfile})
	if in.DockerIgnore != "" {
		files = append(files, File{Name: "dockerignore", Path: dockerIgnorePath, Content: in.DockerIgnore})
	}

	prGates, jobs, err := execute("pr-gates.yml", in)
	if err != nil {
		return nil, err
	}
	if missing := slices.DeleteFunc(slices.Clone(Gates), func(g Gate) bool { return slices.Contains(jobs, g) }); len(missing) > 0 {
		return nil, fmt.Errorf("rendering pr-gates.yml: it has no job for the gates %q", missing)
	}
	release, _, err := execute("release.yml", in)
	if err != nil {
		return nil, err
	}
	return append(files,
		File{Name: "pr-gates", Path: PRGatesPath, Content: prGates},
		File{Name: "release", Path: ReleasePath, Content: release},
	), nil
}

// execute fills in a template and tells which gates it has jobs for.
func execute(name string, in Inputs) (string, []Gate, error) {
	var jobs []Gate
	functions := template.FuncMap{
		"job": func(gate Gate) (Gate, error) {
			if !slices.Contains(Gates, gate) {
				return "", fmt.Errorf("job %q is no gate; the gates are %q", gate, Gates)
			}
			if slices.Contains(jobs, gate) {
				return "", fmt.Errorf("there are two jobs for the gate %q", gate)
			}
			jobs = append(jobs, gate)
			return gate, nil
		},
	}
	tmpl, err := template.New(name).Delims("<<", ">>").Option("missingkey=error").Funcs(functions).ParseFS(templates, name)
	if err != nil {
		return "", nil, fmt.Errorf("parsing template %s: %w", name, err)
	}
	var text bytes.Buffer
	if err := tmpl.Execute(&text, in); err != nil {
		return "", nil, fmt.Errorf("rendering %s: %w", name, err)
	}
	return text.String(), jobs, nil
}
