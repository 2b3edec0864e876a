package hcloud

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

func (c *Cloud) firewallResource() provider.Resource {
	return provider.Resource{
		Token:    FirewallToken,
		Args:     hcloud.FirewallArgs{},
		State:    &hcloud.Firewall{},
		AutoName: true,
		Check:    checkFirewall,
		Diff: differ{
			sets:   []string{"rules", "applyTos"},
			sticky: []string{"applyTos", "labels"},
		}.diff,
		Create: c.createFirewall,
		Read:   c.readFirewall,
		Update: c.updateFirewall,
		Delete: c.deleteFirewall,
	}
}

func checkFirewall(ctx context.Context, inputs property.Map) []p.CheckFailure {
	failures := checkLabels(ctx, inputs)
	for i, v := range list(inputs, "rules") {
		if !v.IsMap() {
			continue
		}
		at := fmt.Sprintf("rules[%d]", i)
		fail := func(name, format string, args ...any) {
			failures = append(failures, p.CheckFailure{Property: at + "." + name, Reason: fmt.Sprintf(format, args...)})
		}
		if d := text(v.AsMap(), "direction"); d != "" && !slices.Contains([]string{"in", "out"}, d) {
			fail("direction", "%s is not a valid direction", d)
		}
		if proto := text(v.AsMap(), "protocol"); proto != "" && !slices.Contains([]string{"tcp", "udp", "icmp", "esp", "gre"}, proto) {
			fail("protocol", "%s is not a valid protocol", proto)
		}
		for _, name := range []string{"sourceIps", "destinationIps"} {
			for _, s := range texts(v.AsMap(), name) {
				prefix, err := parsePrefix(s)
				if err != nil {
					fail(name, "invalid CIDR address: %s", s)
				} else if prefix != prefix.Masked() {
					fail(name, "%s is not the start of the cidr block %s", s, prefix.Masked())
				}
			}
		}
	}
	return failures
}

// parsePrefix takes a bare address for the network that holds it alone.
func parsePrefix(s string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// prefixes writes networks as the API gives them back.
func prefixes(all []string) []string {
	normal := make([]string, len(all))
	for i, s := range all {
		normal[i] = s
		if prefix, err := parsePrefix(s); err == nil {
			normal[i] = prefix.String()
		}
	}
	return normal
}

// rulesOf reads the rules and refuses what the API does.
func rulesOf(inputs property.Map) ([]rule, error) {
	var rules []rule
	for _, v := range list(inputs, "rules") {
		m := v.AsMap()
		r := rule{
			Direction: text(m, "direction"), Protocol: text(m, "protocol"), Port: text(m, "port"),
			Sources:      prefixes(texts(m, "sourceIps")),
			Destinations: prefixes(texts(m, "destinationIps")),
			Description:  text(m, "description"),
		}
		ported := r.Protocol == "tcp" || r.Protocol == "udp"
		switch {
		case ported && r.Port == "":
			return nil, invalid("rules", "port is required for the protocols tcp and udp")
		case !ported && r.Port != "":
			return nil, invalid("rules", fmt.Sprintf("the protocol %s has no port", r.Protocol))
		case r.Direction == "in" && len(r.Sources) == 0:
			return nil, invalid("rules", "source_ips is required for direction in")
		case r.Direction == "out" && len(r.Destinations) == 0:
			return nil, invalid("rules", "destination_ips is required for direction out")
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// apply sets what the firewall applies to.
func (f *firewall) apply(st *state, inputs property.Map) error {
	var servers []int
	var selectors []string
	for _, v := range list(inputs, "applyTos") {
		if selector := text(v.AsMap(), "labelSelector"); selector != "" {
			selectors = append(selectors, selector)
		}
		if id := number(v.AsMap(), "server"); id != 0 {
			if _, ok := st.Servers[id]; !ok {
				return notFound("server", id)
			}
			servers = append(servers, id)
		}
	}
	f.Servers, f.Selectors = servers, selectors
	return nil
}

func (f *firewall) outputs() property.Map {
	rules := make([]map[string]any, len(f.Rules))
	for i, r := range f.Rules {
		rules[i] = map[string]any{
			"direction": r.Direction, "protocol": r.Protocol,
			"sourceIps": r.Sources, "destinationIps": r.Destinations,
		}
		if r.Port != "" {
			rules[i]["port"] = r.Port
		}
		if r.Description != "" {
			rules[i]["description"] = r.Description
		}
	}
	applied := []map[string]any{}
	for _, selector := range f.Selectors {
		applied = append(applied, map[string]any{"labelSelector": selector})
	}
	for _, id := range f.Servers {
		applied = append(applied, map[string]any{"server": id})
	}
	return values(map[string]any{"name": f.Name, "labels": f.Labels, "rules": rules, "applyTos": applied})
}

func (s *state) firewallNamed(name string) *firewall {
	for _, f := range s.Firewalls {
		if f.Name == name {
			return f
		}
	}
	return nil
}

func (c *Cloud) createFirewall(_ context.Context, r provider.CreateRequest) (string, property.Map, error) {
	rules, err := rulesOf(r.Inputs)
	if err != nil {
		return "", property.Map{}, err
	}
	f := &firewall{Name: text(r.Inputs, "name"), Labels: labels(r.Inputs), Rules: rules}
	err = c.store.update(func(st *state) error {
		if st.firewallNamed(f.Name) != nil {
			return alreadyUsed("name")
		}
		f.ID = st.nextID()
		st.Firewalls[f.ID] = f
		return f.apply(st, r.Inputs)
	})
	if err != nil {
		return "", property.Map{}, err
	}
	return formatID(f.ID), f.outputs(), nil
}

func (c *Cloud) readFirewall(_ context.Context, r provider.ReadRequest) (inputs, outputs property.Map, found bool, err error) {
	id, err := parseID(r.ID)
	if err != nil {
		return inputs, outputs, false, err
	}
	err = c.store.view(func(st *state) error {
		if f, ok := st.Firewalls[id]; ok {
			found = true
			outputs = f.outputs()
			inputs = current(r, outputs, "name", "labels", "rules", "applyTos")
		}
		return nil
	})
	return inputs, outputs, found, err
}

func (c *Cloud) updateFirewall(_ context.Context, r provider.UpdateRequest) (property.Map, error) {
	var outputs property.Map
	id, err := parseID(r.ID)
	if err != nil {
		return outputs, err
	}
	rules, err := rulesOf(r.Inputs)
	if err != nil {
		return outputs, err
	}
	err = c.store.update(func(st *state) error {
		f, ok := st.Firewalls[id]
		if !ok {
			return notFound("firewall", id)
		}
		name := text(r.Inputs, "name")
		if other := st.firewallNamed(name); other != nil && other != f {
			return alreadyUsed("name")
		}
		f.Name, f.Rules = name, rules
		if !r.Inputs.Get("labels").IsNull() {
			f.Labels = labels(r.Inputs)
		}
		if !r.Inputs.Get("applyTos").IsNull() {
			if err := f.apply(st, r.Inputs); err != nil {
				return err
			}
		}
		outputs = f.outputs()
		return nil
	})
	return outputs, err
}

func (c *Cloud) deleteFirewall(_ context.Context, r provider.DeleteRequest) error {
	id, err := parseID(r.ID)
	if err != nil {
		return err
	}
	return c.store.update(func(st *state) error {
		delete(st.Firewalls, id)
		return nil
	})
}

// matches tells whether labels satisfy a selector such as "env=prod,role".
// Set-based terms ("env in (a,b)") are not among what it understands.
func matches(selector string, have map[string]string) bool {
	for term := range strings.SplitSeq(selector, ",") {
		key, want, compared := strings.Cut(strings.ReplaceAll(strings.TrimSpace(term), "==", "="), "=")
		key, negated := strings.CutSuffix(key, "!")
		value, ok := have[strings.TrimSpace(key)]
		if satisfied := ok && (!compared || value == strings.TrimSpace(want)); satisfied == negated {
			return false
		}
	}
	return true
}
