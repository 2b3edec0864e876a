package provider

import "github.com/pulumi/pulumi/sdk/v3/go/property"

// plain removes secrecy and dependencies at every depth: what callbacks see,
// and what inputs are compared by.
func plain(m property.Map) property.Map {
	return plainValue(property.New(m)).AsMap()
}

func plainValue(v property.Value) property.Value {
	switch {
	case v.IsMap():
		out := map[string]property.Value{}
		for k, item := range v.AsMap().All {
			out[k] = plainValue(item)
		}
		v = property.WithGoValue(v, out)
	case v.IsArray():
		out := make([]property.Value, 0, v.AsArray().Len())
		for _, item := range v.AsArray().All {
			out = append(out, plainValue(item))
		}
		v = property.WithGoValue(v, out)
	}
	return v.WithSecret(false).WithDependencies(nil)
}

// keepSecrets marks in out what is secret in in: property by property where
// both have the same structure, and otherwise the whole value.
func keepSecrets(out, in property.Map) property.Map {
	return keepSecret(property.New(out), property.New(in)).AsMap()
}

func keepSecret(out, in property.Value) property.Value {
	switch {
	case !in.HasSecrets():
		return out
	case in.Secret():
		return out.WithSecret(true)
	case out.IsMap() && in.IsMap():
		marked := out.AsMap()
		for k, item := range out.AsMap().All {
			marked = marked.Set(k, keepSecret(item, in.AsMap().Get(k)))
		}
		return property.WithGoValue(out, marked)
	case out.IsArray() && in.IsArray() && out.AsArray().Len() == in.AsArray().Len():
		marked := out.AsArray().AsSlice()
		for i, item := range marked {
			marked[i] = keepSecret(item, in.AsArray().Get(i))
		}
		return property.WithGoValue(out, marked)
	default:
		return out.WithSecret(true)
	}
}

// withSecrets marks the named outputs.
func withSecrets(out property.Map, names []string) property.Map {
	for _, name := range names {
		if v, ok := out.GetOk(name); ok {
			out = out.Set(name, v.WithSecret(true))
		}
	}
	return out
}
