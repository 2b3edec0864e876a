package gateway

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// parse reads JSON with its numbers as they stand there.
func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		t.Fatal(err)
	}
	return document
}

func TestUnknownKeysArePassedOn(t *testing.T) {
	d := Read("0.6.19", parse(t, `{"channels":{"telegramm":{"enabled":true},"matrix":{"url":"x"}},"agents":{"defaults":{"max_tokens":5,"topP":0.10}}}`))
	if len(d.Problems) > 0 {
		t.Errorf("problems: %v", d.Problems)
	}
	want := []Finding{
		{"agents.defaults.topP", "an unknown key", "no such key is known; it is passed on"},
		{"channels.matrix", "an unknown key", "no such key is known; it is passed on"},
		{"channels.telegramm", "an unknown key", `it is passed on; "telegram" may be meant`},
	}
	if !slices.Equal(d.Warnings, want) {
		t.Errorf("warnings are\n%v, want\n%v", d.Warnings, want)
	}
	text, err := d.JSON(Listener{"0.0.0.0", 8080})
	if err != nil {
		t.Fatal(err)
	}
	const rendered = `{"agents":{"defaults":{"maxTokens":5,"topP":0.10,"workspace":"~/.clawft/workspace"}},"channels":{"matrix":{"url":"x"},"telegramm":{"enabled":true}},"gateway":{"apiEnabled":true,"apiPort":8080,"host":"0.0.0.0"}}`
	if string(text) != rendered {
		t.Errorf("got  %s\nwant %s", text, rendered)
	}
}

func TestWhatHasNoEffectIsWarnedAbout(t *testing.T) {
	d := Read("0.6.19", parse(t, `{"channels":{"telegram":{"allow_from":["1"]},"whatsapp":{"enabled":true}}}`))
	paths := make([]string, len(d.Warnings))
	for i, warning := range d.Warnings {
		paths[i] = warning.Path
	}
	if want := []string{"channels.telegram.allow_from", "channels.whatsapp"}; !slices.Equal(paths, want) || len(d.Problems) > 0 {
		t.Errorf("warnings are about %v, problems %v; want warnings about %v", paths, d.Problems, want)
	}
}

// What the pipeline sets or keeps secret is refused in every spelling that the
// gateway reads, and its value, which may be a secret, is not shown.
func TestWhatIsNotTheUsersIsRefusedInEverySpelling(t *testing.T) {
	refused := 0
	walk(loaded()[0].schema.root, nil, func(path []string, n node) {
		if !n.refused() {
			return
		}
		refused++
		for name, spell := range map[string]func(string) string{"as documented": func(key string) string { return key }, "in snake_case": Key} {
			document, at := parse(t, `{}`), []string{}
			here := document
			for i, key := range path {
				if key == "*" {
					key = "name"
				} else if key == "[]" {
					return // within a list; the object around it is reached by others
				}
				key = spell(key)
				at = append(at, key)
				if i == len(path)-1 {
					here[key] = "canary"
					break
				}
				below := map[string]any{}
				here[key] = below
				here = below
			}
			d := Read("0.6.19", document)
			found := slices.IndexFunc(d.Problems, func(p Finding) bool { return p.Path == strings.Join(at, ".") })
			if found < 0 {
				t.Errorf("%s %s is not refused", strings.Join(at, "."), name)
				continue
			}
			if problem := d.Problems[found]; strings.Contains(problem.Given+problem.Want, "canary") {
				t.Errorf("the problem shows the value: %v", problem)
			}
		}
	})
	if refused < 8 {
		t.Errorf("only %d keys are refused", refused)
	}
}

// Every key is described, and every value that can be wrong says what is right.
func TestSchemasSayWhatIsRight(t *testing.T) {
	for _, v := range loaded() {
		walk(v.schema.root, nil, func(path []string, n node) {
			at := v.version + ": " + strings.Join(path, ".")
			_, refused := n.get("not").(map[string]any)
			element := len(path) > 0 && slices.Contains([]string{"*", "[]"}, path[len(path)-1])
			if n.text("description") == "" && !element && !n.is("x-open") && n.text("x-want") == "" {
				t.Errorf("%s has no description", at)
			}
			if refused && n.text("x-want") == "" {
				t.Errorf("%s does not say what is right", at)
			}
			if n.get("pattern") != nil && n.text("x-want") == "" {
				t.Errorf("%s has a pattern and no words for it", at)
			}
		})
	}
}

// walk visits every known value of a schema.
func walk(n node, path []string, visit func([]string, node)) {
	if len(path) > 0 {
		visit(path, n)
	}
	for _, key := range slices.Sorted(maps.Keys(n.properties())) {
		property, _ := n.below(n.properties()[key])
		walk(property, append(slices.Clone(path), key), visit)
	}
	if items, ok := n.below(n.get("items")); ok {
		walk(items, append(slices.Clone(path), "[]"), visit)
	}
	if names, ok := n.below(n.get("additionalProperties")); ok {
		walk(names, append(slices.Clone(path), "*"), visit)
	}
}

// Whatever stands in a config.json, reading it ends with findings.
func FuzzRead(f *testing.F) {
	f.Add(`{"routing":{"mode":"tiered","tiers":[{"name":1},"x",null],"permissions":{"users":[],"admin":3}}}`)
	f.Add(`{"channels":null,"providers":{"openai":{"extraHeaders":{"A":{}}}},"tools":{"mcpServers":{"x":[]}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		decoder := json.NewDecoder(bytes.NewBufferString(text))
		decoder.UseNumber()
		var document map[string]any
		if decoder.Decode(&document) != nil {
			return
		}
		d := Read("0.6.19", document)
		if _, err := d.JSON(Listener{"0.0.0.0", 8080}); err != nil {
			t.Error(err)
		}
	})
}
