// Package cloudinit holds everything that runs on a host, and renders it. Rendering is pure: the
// results depend on the arguments alone.
//
// # What is on a host
//
//	/usr/local/lib/clawft/      scripts, masters of the units, the proxy's config
//	/opt/clawft/data            the gateway's data; no script ever touches its content
//	/opt/clawft/releases/ID/    release.env, config.json, gateway.env (the secrets, mode 0600)
//	/opt/clawft/current         a link to the release that runs; previous is the one before it
//	/opt/clawft/pending         while current is not verified: the release to go back to
//	/run/clawft/hold            while it exists, the proxy holds requests back
//
// Clients reach clawft-proxy.service (Caddy) on 127.0.0.1:8080. It passes requests to clawft.service,
// the gateway's container, published on 127.0.0.1:18080. The unit is static: all that differs from
// release to release stands in the release's directory.
//
// # What is looked at first
//
// surroundings.sh names whatever a gateway cannot live with: the bootstrap asks it before it starts the
// proxy, a deployment before it changes anything. The preflight starts the container that production will
// run (container.sh), apart from the network, and beside it one that proves the network. Images are listed
// in /opt/clawft/images before they are pulled, and removed by that list.
//
// # How a release is swapped
//
// Two gateways must never run on one data directory, so the old one stops before the new one starts.
// No request is lost meanwhile: the deployment creates the hold file, the proxy's check of its own gate
// (127.0.0.1:18081) fails, new requests wait in the proxy, those under way finish, and only then the
// unit is restarted. The gate opens when the new gateway is healthy and reports the expected version.
// The proxy opens one connection per request, so that open connections are requests under way, and no
// request is written to a connection that the old gateway is about to close.
//
// Before any of this, the new image was pulled and started once beside the old one, without network and
// data. After it, the new gateway is watched: one that crashes then is replaced by the old one.
//
// # When something dies
//
// A deployment is a unit of its own, clawft-deploy@ID.service. Its end, however it comes, runs settle,
// which goes back from a release that is not verified and opens the gate. A client that goes away has
// seen its deployment fail, so the deployment is undone. A machine that reboots in the middle starts
// the gateway's unit, whose prestart goes back. A request that a crashed gateway was working on is
// lost, and its client is told; those that arrive while it is down wait up to 30 s.
//
// # Secrets
//
// gateway.env is the only file with the gateway's secrets. They reach the gateway through its standard
// input, by way of launch, because the engine keeps an environment that it is given in files of its
// own. The login for the registry is on a tmpfs for as long as the pull takes. What the scripts print
// has the secrets replaced by their names.
package cloudinit
