package gateway

import (
	"strconv"
	"strings"
)

// node is a subschema as it is written, and the schema around it, in which a
// $ref points.
type node struct{ root, object map[string]any }

// at is the subschema that a JSON pointer leads to, without what it refers to.
func (n node) at(pointer string) node {
	var here any = n.root
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch container := here.(type) {
		case map[string]any:
			here = container[step]
		case []any:
			index, err := strconv.Atoi(step)
			if err != nil || index < 0 || index >= len(container) {
				return node{root: n.root}
			}
			here = container[index]
		}
	}
	object, _ := here.(map[string]any)
	return node{n.root, object}
}

// get is a keyword of the subschema, or of the one that it refers to.
func (n node) get(keyword string) any {
	if value, found := n.object[keyword]; found {
		return value
	}
	if pointer, ok := n.object["$ref"].(string); ok {
		return n.at(strings.TrimPrefix(pointer, "#")).get(keyword)
	}
	return nil
}

func (n node) text(keyword string) string {
	text, _ := n.get(keyword).(string)
	return text
}

func (n node) is(keyword string) bool {
	flag, _ := n.get(keyword).(bool)
	return flag
}

// refused tells whether no value at all may stand here.
func (n node) refused() bool {
	not, found := n.get("not").(map[string]any)
	return found && len(not) == 0
}

func (n node) below(value any) (node, bool) {
	object, ok := value.(map[string]any)
	return node{n.root, object}, ok
}

// properties are the subschemas of the keys that are known here.
func (n node) properties() map[string]any {
	properties, _ := n.get("properties").(map[string]any)
	return properties
}

// known finds the key of the schema that the gateway takes a given key for: it
// reads camelCase and snake_case alike.
func (n node) known(given string) (name string, property node, found bool) {
	properties := n.properties()
	if value, found := properties[given]; found {
		property, _ := n.below(value)
		return given, property, true
	}
	rewritten := Key(given)
	for name, value := range properties {
		if Key(name) == rewritten {
			property, _ := n.below(value)
			return name, property, true
		}
	}
	return "", node{}, false
}
