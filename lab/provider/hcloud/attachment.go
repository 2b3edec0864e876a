package hcloud

import (
	"context"
	"errors"
	"slices"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

// A firewall has one attachment, which says everything that it applies to.
func (c *Cloud) attachmentResource() provider.Resource {
	return provider.Resource{
		Token:   FirewallAttachmentToken,
		Args:    hcloud.FirewallAttachmentArgs{},
		State:   &hcloud.FirewallAttachment{},
		Replace: []string{"firewallId"},
		Check: func(_ context.Context, inputs property.Map) []p.CheckFailure {
			if inputs.Get("serverIds").IsNull() && inputs.Get("labelSelectors").IsNull() {
				return []p.CheckFailure{{Property: "serverIds", Reason: "no resources referenced: give serverIds or labelSelectors"}}
			}
			return nil
		},
		Diff: differ{sets: []string{"serverIds", "labelSelectors"}}.diff,
		Create: func(_ context.Context, r provider.CreateRequest) (string, property.Map, error) {
			outputs, err := c.attach(r.Inputs)
			return formatID(number(r.Inputs, "firewallId")), outputs, err
		},
		Read: c.readAttachment,
		Update: func(_ context.Context, r provider.UpdateRequest) (property.Map, error) {
			return c.attach(r.Inputs)
		},
		Delete: c.detach,
	}
}

func (f *firewall) attachment() property.Map {
	m := map[string]any{"firewallId": f.ID}
	if len(f.Servers) > 0 {
		m["serverIds"] = f.Servers
	}
	if len(f.Selectors) > 0 {
		m["labelSelectors"] = f.Selectors
	}
	return values(m)
}

func (c *Cloud) attach(inputs property.Map) (property.Map, error) {
	servers, selectors := numbers(inputs, "serverIds"), texts(inputs, "labelSelectors")
	if len(servers)+len(selectors) == 0 {
		return property.Map{}, errors.New("no resources referenced")
	}
	var outputs property.Map
	err := c.store.update(func(st *state) error {
		id := number(inputs, "firewallId")
		f, ok := st.Firewalls[id]
		if !ok {
			return notFound("firewall", id)
		}
		for _, id := range servers {
			if _, ok := st.Servers[id]; !ok {
				return notFound("server", id)
			}
		}
		f.Servers, f.Selectors = servers, selectors
		outputs = f.attachment()
		return nil
	})
	return outputs, err
}

func (c *Cloud) readAttachment(_ context.Context, r provider.ReadRequest) (inputs, outputs property.Map, found bool, err error) {
	id, err := parseID(r.ID)
	if err != nil {
		return inputs, outputs, false, err
	}
	err = c.store.view(func(st *state) error {
		if f, ok := st.Firewalls[id]; ok {
			found = true
			outputs = f.attachment()
			inputs = current(r, outputs, "firewallId", "serverIds", "labelSelectors")
		}
		return nil
	})
	return inputs, outputs, found, err
}

func (c *Cloud) detach(_ context.Context, r provider.DeleteRequest) error {
	return c.store.update(func(st *state) error {
		f, ok := st.Firewalls[number(r.State, "firewallId")]
		if !ok {
			return nil
		}
		gone := numbers(r.State, "serverIds")
		f.Servers = slices.DeleteFunc(f.Servers, func(id int) bool { return slices.Contains(gone, id) })
		selectors := texts(r.State, "labelSelectors")
		f.Selectors = slices.DeleteFunc(f.Selectors, func(s string) bool { return slices.Contains(selectors, s) })
		return nil
	})
}
