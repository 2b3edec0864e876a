// Package provider serves stand-ins for Pulumi provider plugins to the real
// engine, and is the base that those stand-ins are built on.
//
// A stand-in is a [Package]: a list of resources and functions, each given by
// its type token, the SDK's own Args and resource types, and callbacks that do
// the work. Property names and types are read from the SDK by reflection, so a
// stand-in accepts exactly what the SDK of the same version sends:
//
//	func New(cloud *Cloud) p.Provider {
//		return provider.Package{
//			Name:   "hcloud",
//			Config: hcloud.ProviderArgs{},
//			Resources: []provider.Resource{{
//				Token:    "hcloud:index/sshKey:SshKey",
//				Args:     hcloud.SshKeyArgs{},
//				State:    &hcloud.SshKey{},
//				AutoName: true,
//				Replace:  []string{"publicKey"},
//				Create: func(ctx context.Context, r provider.CreateRequest) (string, property.Map, error) {
//					key, err := cloud.addKey(r.Inputs.Get("name").AsString(), r.Inputs.Get("publicKey").AsString())
//					if err != nil {
//						return "", property.Map{}, fmt.Errorf("adding the SSH key: %w", err)
//					}
//					return key.id, property.NewMap(map[string]property.Value{
//						"fingerprint": property.New(key.fingerprint),
//						"labels":      property.New(map[string]property.Value{}),
//					}), nil
//				},
//				Update: func(ctx context.Context, r provider.UpdateRequest) (property.Map, error) { … },
//				Delete: func(ctx context.Context, r provider.DeleteRequest) error { … },
//			}},
//		}.Provider()
//	}
//
// What the base does for every resource:
//
//   - Check refuses unknown, missing and mistyped inputs, at any depth. SDK
//     types do not say whether a list or a map is required: name those in
//     Required.
//   - Diff compares the new inputs with the old ones. A changed property that is
//     listed in Replace replaces the resource; so does any change when there is
//     no Update.
//   - A preview calls no callback. Outputs that are not inputs are unknown in a
//     previewed create; in a previewed update they keep their value, except
//     those listed in Volatile.
//   - Callbacks get plain values (no secrets, no unknowns). Inputs become
//     outputs of the same name unless the callback returns another value. What
//     was secret as an input is secret as an output; what is listed in Secret is
//     always secret.
//   - It is an error, and a mistake in the stand-in, to return an output that
//     the SDK's resource type does not have, or to leave out a scalar that it
//     always has.
//
// Callbacks run concurrently and have to lock what they share.
//
// [Set.Serve] serves each provider on a port of its own. Every connection is
// treated as a plugin process of its own: it has its own configuration (see
// [Config]), and a cancellation by the engine ends only its own calls. An
// engine keeps one connection per provider, unless it calls nothing for 30
// minutes: gRPC then reconnects, and the configuration is lost.
package provider
