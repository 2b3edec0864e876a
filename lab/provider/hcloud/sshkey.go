package hcloud

import (
	"context"
	"strings"

	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/lab/provider"
)

func (c *Cloud) sshKeyResource() provider.Resource {
	return provider.Resource{
		Token:    SSHKeyToken,
		Args:     hcloud.SshKeyArgs{},
		State:    &hcloud.SshKey{},
		AutoName: true,
		Replace:  []string{"publicKey"},
		Check:    checkLabels,
		Diff:     differ{}.diff,
		Create:   c.createSSHKey,
		Read:     c.readSSHKey,
		Update:   c.updateSSHKey,
		Delete:   c.deleteSSHKey,
	}
}

func (k *sshKey) outputs() property.Map {
	return values(map[string]any{
		"name": k.Name, "publicKey": k.PublicKey, "fingerprint": k.Fingerprint, "labels": k.Labels,
	})
}

func (s *state) sshKeyNamed(nameOrID string) *sshKey {
	for id, k := range s.SSHKeys {
		if k.Name == nameOrID || formatID(id) == nameOrID {
			return k
		}
	}
	return nil
}

func (c *Cloud) createSSHKey(_ context.Context, r provider.CreateRequest) (string, property.Map, error) {
	key := &sshKey{Name: text(r.Inputs, "name"), PublicKey: text(r.Inputs, "publicKey"), Labels: labels(r.Inputs)}
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key.PublicKey))
	if err != nil || strings.Contains(strings.TrimSpace(key.PublicKey), "\n") {
		return "", property.Map{}, invalid("public_key", "SSH key is not valid: give one line as in an authorized_keys file")
	}
	key.Fingerprint = ssh.FingerprintLegacyMD5(parsed)
	err = c.store.update(func(st *state) error {
		for _, other := range st.SSHKeys {
			if other.Name == key.Name {
				return alreadyUsed("SSH key name")
			}
			if other.Fingerprint == key.Fingerprint {
				return &apiError{"SSH key with the same fingerprint already exists", "uniqueness_error"}
			}
		}
		key.ID = st.nextID()
		st.SSHKeys[key.ID] = key
		return nil
	})
	if err != nil {
		return "", property.Map{}, err
	}
	return formatID(key.ID), key.outputs(), nil
}

func (c *Cloud) readSSHKey(_ context.Context, r provider.ReadRequest) (inputs, outputs property.Map, found bool, err error) {
	id, err := parseID(r.ID)
	if err != nil {
		return inputs, outputs, false, err
	}
	err = c.store.view(func(st *state) error {
		if key, ok := st.SSHKeys[id]; ok {
			found = true
			outputs = key.outputs()
			inputs = current(r, outputs, "name", "publicKey", "labels")
		}
		return nil
	})
	return inputs, outputs, found, err
}

func (c *Cloud) updateSSHKey(_ context.Context, r provider.UpdateRequest) (property.Map, error) {
	var outputs property.Map
	id, err := parseID(r.ID)
	if err != nil {
		return outputs, err
	}
	err = c.store.update(func(st *state) error {
		key, ok := st.SSHKeys[id]
		if !ok {
			return notFound("SSH key", id)
		}
		name := text(r.Inputs, "name")
		if other := st.sshKeyNamed(name); other != nil && other != key {
			return alreadyUsed("SSH key name")
		}
		key.Name, key.Labels = name, labels(r.Inputs)
		outputs = key.outputs()
		return nil
	})
	return outputs, err
}

func (c *Cloud) deleteSSHKey(_ context.Context, r provider.DeleteRequest) error {
	id, err := parseID(r.ID)
	if err != nil {
		return err
	}
	return c.store.update(func(st *state) error {
		delete(st.SSHKeys, id)
		return nil
	})
}
