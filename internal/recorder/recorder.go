// Package recorder runs Pulumi programs without an engine and records what they
// register. All component and pipeline tests share it.
//
// It is stricter than Pulumi's own mocks: a URN that is registered twice is an
// error, and a recorded plan never shows a secret. With Preview set, what a
// provider would compute is unknown, as it is in `pulumi preview`.
package recorder

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// longText is the length, in bytes, past which a plan does not repeat a text.
const longText = 400

// stashType is what the engine itself keeps in a stack's state.
const stashType = "pulumi:index:Stash"

// Project is the name under which recorded programs run.
const Project = "clawft"

// Recorder runs one program and holds what it registered.
type Recorder struct {
	// Stack is the stack's name.
	Stack string
	// Config is the stack's configuration: "clawft:version" → value. Objects are
	// JSON text, as the engine passes them.
	Config map[string]string
	// SecretKeys are the keys of Config whose values are secret.
	SecretKeys []string
	// Preview leaves computed outputs unknown.
	Preview bool
	// IDs are the IDs of resources by name, where a test cares. Others get one
	// that is made from their type and name.
	IDs map[string]string
	// Outputs computes a resource's outputs beyond its inputs, by type token.
	Outputs map[string]func(inputs resource.PropertyMap) resource.PropertyMap
	// Functions answer invokes, by token.
	Functions map[string]func(args resource.PropertyMap) (resource.PropertyMap, error)

	mu         sync.Mutex
	resources  []Resource
	duplicates []string
	urns       map[string]bool
	messages   []string
}

// Resource is a recorded registration.
type Resource struct {
	Type, Name, Parent string
	Custom             bool
	Inputs             resource.PropertyMap
	Request            *pulumirpc.RegisterResourceRequest
	// Read is true of what exists already: a preview knows its outputs too.
	Read bool
}

// Run runs the program to its end. It fails if the program does, or if a URN
// was registered twice.
func (r *Recorder) Run(program pulumi.RunFunc) error {
	address, stop, err := (&monitor{recorder: r}).serve()
	if err != nil {
		return err
	}
	defer stop()
	err = pulumi.RunErr(program, func(info *pulumi.RunInfo) {
		info.Project = Project
		info.Stack = r.Stack
		info.Organization = "clawft"
		info.Config = r.Config
		info.ConfigSecretKeys = r.SecretKeys
		info.DryRun = r.Preview
		info.MonitorAddr, info.EngineAddr = address, address
	})
	if err != nil {
		return err
	}
	if len(r.duplicates) > 0 {
		return fmt.Errorf("registered twice: %s", strings.Join(r.duplicates, ", "))
	}
	return nil
}

// register records a registration and returns what a provider would: an ID and
// outputs.
func (r *Recorder) register(request *pulumirpc.RegisterResourceRequest, inputs resource.PropertyMap, read bool) (string, resource.PropertyMap) {
	recorded := Resource{
		Type: request.GetType(), Name: request.GetName(), Custom: request.GetCustom(),
		Inputs: inputs, Request: request, Read: read,
	}
	if parent := resource.URN(request.GetParent()); parent != "" {
		recorded.Parent = parent.Name()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// A parent counts with its type only: children of one name below two
	// components of one type have the same URN.
	urn := urnOf(r.Stack, request)
	if r.urns[urn] {
		r.duplicates = append(r.duplicates, urn)
	}
	if r.urns == nil {
		r.urns = map[string]bool{}
	}
	r.urns[urn] = true
	r.resources = append(r.resources, recorded)
	return r.id(recorded), r.outputs(recorded)
}

// id is unknown in a preview, as the ID of whatever does not exist yet.
func (r *Recorder) id(recorded Resource) string {
	if !recorded.Custom || r.Preview {
		return ""
	}
	if id, ok := r.IDs[recorded.Name]; ok {
		return id
	}
	hash := fnv.New32a()
	hash.Write([]byte(recorded.Type + " " + recorded.Name))
	return fmt.Sprint(100000 + hash.Sum32()%900000)
}

// outputs are the inputs and what a provider computes, which a preview leaves
// out: the engine drops what is unknown. Secret is, as for the engine, what the
// program wants to be and what was secret as an input.
func (r *Recorder) outputs(recorded Resource) resource.PropertyMap {
	outputs := recorded.Inputs.Copy()
	compute, ok := r.Outputs[recorded.Type]
	if !ok {
		return outputs
	}
	secrets := recorded.Request.GetAdditionalSecretOutputs()
	for key, value := range compute(recorded.Inputs) {
		secret := recorded.Inputs[key].IsSecret() || slices.Contains(secrets, string(key))
		switch {
		case r.Preview && !recorded.Read:
			delete(outputs, key)
		case secret && !value.IsSecret():
			outputs[key] = resource.MakeSecret(value)
		default:
			outputs[key] = value
		}
	}
	return outputs
}

// log keeps what the program says to its user.
func (r *Recorder) log(request *pulumirpc.LogRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, request.GetMessage())
}

// Messages are what the program logged: warnings and errors among them.
func (r *Recorder) Messages() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// Resources returns what was registered, ordered by type and name.
func (r *Recorder) Resources() []Resource {
	r.mu.Lock()
	defer r.mu.Unlock()
	sorted := slices.Clone(r.resources)
	slices.SortFunc(sorted, func(a, b Resource) int {
		return strings.Compare(a.Type+"\x00"+a.Name, b.Type+"\x00"+b.Name)
	})
	return sorted
}

// Names returns the names of the resources of a type, in order.
func (r *Recorder) Names(typeToken string) []string {
	var names []string
	for _, recorded := range r.Resources() {
		if recorded.Type == typeToken {
			names = append(names, recorded.Name)
		}
	}
	return names
}

// Find returns the resource of a type and name, or nil.
func (r *Recorder) Find(typeToken, name string) *Resource {
	for _, recorded := range r.Resources() {
		if recorded.Type == typeToken && recorded.Name == name {
			return &recorded
		}
	}
	return nil
}

// Plan renders everything registered as text for a golden file: one block per
// resource with its options and inputs. Secrets read [secret], unknown values
// [unknown], and what a stash keeps from its first run [kept].
func (r *Recorder) Plan() string {
	var plan strings.Builder
	for _, recorded := range r.Resources() {
		fmt.Fprintf(&plan, "%s %s\n", recorded.Type, recorded.Name)
		if recorded.Parent != "" {
			fmt.Fprintf(&plan, "  parent: %s\n", recorded.Parent)
		}
		for _, option := range recorded.options() {
			fmt.Fprintf(&plan, "  %s\n", option)
		}
		for _, key := range recorded.Inputs.StableKeys() {
			text := render(recorded.Inputs[key])
			if recorded.Type == stashType && slices.Contains(recorded.Request.GetIgnoreChanges(), string(key)) {
				// It counts in the first run only, and may be drawn anew in every other.
				text = "[kept]"
			}
			fmt.Fprintf(&plan, "  %s = %s\n", key, text)
		}
	}
	return plan.String()
}

// options lists the resource options that change what an update does.
func (r Resource) options() []string {
	var options []string
	if r.Request.GetProtect() {
		options = append(options, "option: protect")
	}
	if r.Request.GetDeleteBeforeReplace() {
		options = append(options, "option: deleteBeforeReplace")
	}
	if r.Request.GetRetainOnDelete() {
		options = append(options, "option: retainOnDelete")
	}
	if ignored := r.Request.GetIgnoreChanges(); len(ignored) > 0 {
		options = append(options, "option: ignoreChanges "+strings.Join(ignored, " "))
	}
	var dependencies []string
	for _, urn := range r.Request.GetDependencies() {
		dependencies = append(dependencies, urn[strings.LastIndex(urn, "::")+2:])
	}
	slices.Sort(dependencies)
	if len(dependencies) > 0 {
		options = append(options, "depends on: "+strings.Join(dependencies, " "))
	}
	return options
}

func render(value resource.PropertyValue) string {
	text, err := json.Marshal(plain(value))
	if err != nil {
		return fmt.Sprintf("[%s]", err)
	}
	return string(text)
}

func plain(value resource.PropertyValue) any {
	switch {
	case value.IsSecret():
		return "[secret]"
	case value.IsComputed(), value.IsOutput() && !value.OutputValue().Known:
		return "[unknown]"
	case value.IsOutput() && value.OutputValue().Secret:
		return "[secret]"
	case value.IsOutput():
		return plain(value.OutputValue().Element)
	case value.IsArray():
		items := []any{}
		for _, item := range value.ArrayValue() {
			items = append(items, plain(item))
		}
		return items
	case value.IsObject():
		object := map[string]any{}
		for key, item := range value.ObjectValue() {
			object[string(key)] = plain(item)
		}
		return object
	case value.IsString() && len(value.StringValue()) > longText:
		// Scripts and files have golden tests of their own.
		return "[long text]"
	default:
		return value.V
	}
}
